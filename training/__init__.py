"""training: what every training run of the project needs, whatever it trains.

device = pick_device("auto")                   # training.device
save_config(run, settings)                     # training.settings: config.json, with versions
save_state(run, {"step": 100, "average": …})   # training.run_state: a crash at any moment leaves a whole one
state = load_state(run, device, ("step",))     # None for a fresh run
follow(average, network, decay, step)          # training.average: the weights that are shipped
"""
