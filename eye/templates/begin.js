"use strict";
// The report page's start: its data and its song are in the file, or the song lies beside it.

/** The song's sound, or null where the page has none. Rejects what cannot be read. */
async function songOfPage(marks) {
  const audio = element("song");
  const embedded = embeddedAudio("song-bytes");
  if (embedded) return decodeSong(await embedded.arrayBuffer(), marks);
  if (!audio.getAttribute("src")) return null;
  await new Promise((known, failed) => {
    if (audio.error) failed();
    if (audio.readyState >= 1) known();
    audio.addEventListener("loadedmetadata", known);
    audio.addEventListener("error", failed);
  });
  return new MediaSound(audio); // a script of a page on disk may not read the file itself
}

async function begin() {
  const data = await unpackData("data");
  const app = new App(data);
  window.mania = app;
  document.body.classList.add("ready");
  try {
    const sound = await songOfPage(data.soundMarks);
    if (sound) app.hear(sound);
    else {
      app.silent(element("song-bytes")
        ? "The music cannot be read: this file was served with another encoding than its own. Save it and open it from disk."
        : "This page has no music.");
    }
  } catch {
    app.silent("Your browser cannot play this song.");
  }
  document.body.classList.add("heard");
}

begin().catch((error) => {
  console.error(error);
  element("no-audio").textContent = "This page could not start. It needs a browser of 2023 or later.";
  element("no-audio").hidden = false;
});
