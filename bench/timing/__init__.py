"""How long a step, a training and a whole engine take."""
