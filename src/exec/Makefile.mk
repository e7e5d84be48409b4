# Runs one rank's schedule over transports.
