"""The books compared: live against simulated, primary against shadow. Pure."""
