# trn-collective-perf and the companion tool.
