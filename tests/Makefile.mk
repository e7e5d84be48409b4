# Support code, scripts and suites that belong to no single room.
