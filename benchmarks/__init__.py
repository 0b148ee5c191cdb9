"""What Iris and its peers do on the same work, measured in whole processes; never part of the wheel."""
