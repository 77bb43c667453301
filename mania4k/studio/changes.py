"""Changes that the page may make: each function is one request, with values as they came, and raises Mania4KError in one line."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from mania4k.studio import uploads
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets import order, timing
from mania4k.studio.sets.pictures import MAX_IMAGE_BYTES, check_image
from mania4k.studio.sets.project import Project, State
from mania4k.studio.sets.shelf import charts_of_set, difficulty_of
from runtime.errors import ConfigError

if TYPE_CHECKING:
    from mania4k.studio.desk import Desk

Values = dict[str, Any]

MAX_DIFFICULTIES = 16
MAX_PINS = 50
VERSIONS = 3
"""Versions of a stretch that are written at a time."""


def edit_timing(desk: Desk, values: Values) -> None:
    """Apply one correction of the timing."""
    lines = timing.edit(desk.opened().state["timing"], str(values.get("what")), values)
    desk.commit(f"timing: {values['what']}", lambda state: state.update(timing=lines), values.get("base"))


def set_metadata(desk: Desk, values: Values) -> None:
    """Names and settings of the set."""
    fields = order.checked_metadata(values.get("fields"))
    desk.commit("names and settings", lambda state: state["metadata"].update(fields), values.get("base"))


def order_difficulties(desk: Desk, values: Values) -> None:
    """Write difficulties, one job each."""
    project, orders = desk.opened(), values.get("orders")
    if not isinstance(orders, list) or not 1 <= len(orders) <= MAX_DIFFICULTIES:
        raise ConfigError(f"order: 1 to {MAX_DIFFICULTIES} difficulties at a time")
    if not project.state["timing"] and not desk.present_jobs().is_open("analyse"):
        raise ConfigError("the song's timing is not known; have the song analysed first")
    for one in [order.checked_order(one) for one in orders]:
        identity = secrets.token_hex(4)
        spec = {"kind": "generate", "id": identity, "order": one}
        desk.present_jobs().add(identity, f"writing {one['name'] or 'a difficulty'} of {one['stars']:g} stars", spec)


def rewrite(desk: Desk, values: Values) -> None:
    """Write versions of a stretch of a difficulty."""
    one = desk.opened().difficulty(str(values.get("id")))
    span = order.checked_span(values.get("span"))
    if any(lock[0] <= span[0] and span[1] <= lock[1] for lock in one["locks"]):
        raise ConfigError("the whole stretch is locked; unlock it first")
    first = int(values["seed"]) if isinstance(values.get("seed"), int) else secrets.randbelow(10**6)
    seeds = [first + number for number in range(VERSIONS)]
    spec = {"kind": "rewrite", "id": one["id"], "span": span, "seeds": seeds}
    desk.present_jobs().add(f"{one['id']}-rewrite", f"{VERSIONS} versions of a stretch of {one['name']}", spec)


def take(desk: Desk, values: Values) -> None:
    """Take one of the versions that were written, or none."""
    identity = str(values.get("id"))
    offered = desk.versions.get(identity)
    if offered is None:
        raise ConfigError("there are no versions to choose from")
    number = values.get("number")
    if number is not None:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(offered["digests"]):
            raise ConfigError("there is no such version")
        digest, before = offered["digests"][number], offered["before"]
        if desk.opened().difficulty(identity)["chart"] != before:
            raise ConfigError("the difficulty was changed since the versions were written; write them again")
        set_chart(desk, identity, digest, f"version {number + 1} of a stretch", values.get("base"))
    del desk.versions[identity]
    desk.opened().save()
    desk.tell({"kind": "state"})


def edit_notes(desk: Desk, values: Values) -> None:
    """Place, move or delete notes by hand."""
    project = desk.opened()
    one = project.difficulty(str(values.get("id")))
    remove, add = (note_lines.checked_notes(values.get(name, [])) for name in ("remove", "add"))
    text = note_lines.edited(project.chart_text(one["chart"]), remove, add, one["locks"])
    hand = [note for note in map(tuple, one["hand"]) if note not in set(remove)]
    hand = sorted({*hand, *add}, key=lambda note: note[:2])
    set_chart(desk, one["id"], project.store_chart(text), "notes by hand", values.get("base"), hand=hand)


def lock(desk: Desk, values: Values) -> None:
    """Lock a section, or unlock all that lies in it."""
    one = desk.opened().difficulty(str(values.get("id")))
    span = order.checked_span(values.get("span"))
    apart = [lock for lock in one["locks"] if lock[1] <= span[0] or span[1] <= lock[0]]
    locks = order.checked_spans([*apart, span] if values.get("on") is True else apart)
    update(desk, one["id"], "lock" if values.get("on") is True else "unlock", values.get("base"), locks=locks)


def set_difficulty(desk: Desk, values: Values) -> None:
    """Rename a difficulty, change its settings, or take it out of the set."""
    one = desk.opened().difficulty(str(values.get("id")))
    if values.get("remove") is True:
        keep = lambda state: [other for other in state["difficulties"] if other["id"] != one["id"]]  # noqa: E731
        desk.commit(f"{one['name']} removed", lambda state: state.update(difficulties=keep(state)), values.get("base"))
        return
    fields: dict[str, Any] = {}
    if "name" in values:
        fields["name"] = order.text_of(values["name"], "name", 80) or one["name"]
    for name in ("hp", "od"):
        if values.get(name) is not None:
            fields[name] = order.number_of(values, name, 0, 10)
    update(desk, one["id"], "difficulty's settings", values.get("base"), **fields)


def pin(desk: Desk, values: Values) -> None:
    """Keep the present state under a name, or come back to one."""
    project = desk.opened()
    pins = project.data.get("pins", [])
    index = values.get("restore")
    if index is None:
        name = order.text_of(values.get("name", ""), "name", 80) or f"version {len(pins) + 1}"
        project.note(pins=[*pins, {"name": name, "state": project.state}][-MAX_PINS:])
        desk.tell({"kind": "state"})
        return
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(pins):
        raise ConfigError("there is no such version of the set")
    state = pins[index]["state"]
    desk.commit(f"back to {pins[index]['name']}", lambda now: now.update(state), values.get("base"))


def set_background(desk: Desk, name: str, data: bytes, base: int | None = None) -> None:
    """A picture for the set."""
    suffix = check_image(data, name)
    if len(data) > MAX_IMAGE_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_IMAGE_BYTES / 1e6:g} MB")
    file = uploads.save_upload(desk.opened().folder, f"background-{secrets.token_hex(4)}", suffix, data).name
    desk.commit("background", lambda state: state["metadata"].update(background=file), base)


def merge_set(desk: Desk, name: str, data: bytes) -> None:
    """An `.osz` that was edited in osu! comes back: its charts take the places of those of their names."""
    project = desk.opened()
    staged = uploads.save_upload(project.folder, f".mania4k-{secrets.token_hex(8)}", ".osz", data)
    try:
        texts = charts_of_set(staged, name)
    finally:
        staged.unlink(missing_ok=True)
    desk.commit(f"{name} dropped back in", lambda state: _put_back(project, state, texts), None)


def pack(desk: Desk) -> None:
    """Write the `.osz` and the page."""
    desk.present_jobs().add("pack", "packing the set", {"kind": "pack"})


def set_chart(desk: Desk, identity: str, digest: str, what: str, base: Any, **fields: Any) -> None:
    update(desk, identity, what, base, chart=digest, **fields)


def update(desk: Desk, identity: str, what: str, base: Any, **fields: Any) -> None:
    def change(state: State) -> None:
        for one in state["difficulties"]:
            if one["id"] == identity:
                one.update(fields)

    desk.commit(what, change, base)


def _put_back(project: Project, state: State, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        digest = project.store_chart(text)
        same = [one for one in state["difficulties"] if one["name"] == name]
        if same:
            same[0].update(chart=digest)
        else:
            state["difficulties"].append(difficulty_of(name, digest, {}))
