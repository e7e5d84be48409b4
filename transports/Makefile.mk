# Transports: how bytes get from rank to rank.
