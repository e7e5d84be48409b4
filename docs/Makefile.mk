# The documents, the manual pages and the tests that keep both true.
EXTRA_DIST += docs/all_reduce-ring-4.svg docs/machine-files.md docs/shared-memory.md

dist_man_MANS += docs/man/trnccl-environment.7
dist_man_MANS += docs/man/trnccl.7
dist_man_MANS += docs/man/trnccl_collectives.3
dist_man_MANS += docs/man/trnccl_communicator.3
dist_man_MANS += docs/man/trnccl_errors.3
dist_man_MANS += docs/man/trnccl_groups.3
dist_man_MANS += docs/man/trnccl_memory.3
dist_man_MANS += docs/man/trnccl_point_to_point.3
dist_man_MANS += docs/man/trnccl_streams.3

# "man trncclAllReduce": a page per function that sends the reader to the one that has it,
# made from the names that the pages of section 3 say they describe.
install-data-hook:
	@for page in $(srcdir)/docs/man/*.3; do \
	  sed -n 's/^\.Nm \(trnccl[A-Z][A-Za-z]*\).*/\1/p' $$page | sort -u | \
	  while read -r name; do \
	    echo ".so man3/$$(basename $$page)" >"$(DESTDIR)$(man3dir)/$$name.3" || exit 1; \
	  done || exit 1; \
	done
uninstall-hook:
	@for page in $(srcdir)/docs/man/*.3; do \
	  sed -n 's/^\.Nm \(trnccl[A-Z][A-Za-z]*\).*/\1/p' $$page | sort -u | \
	  while read -r name; do rm -f "$(DESTDIR)$(man3dir)/$$name.3"; done; \
	done

# What the documents repeat from the code.
EXTRA_PROGRAMS += docs/facts
check_DATA += docs/facts$(EXEEXT)
CLEANFILES += docs/facts$(EXEEXT)
docs_facts_SOURCES = docs/facts.c
docs_facts_LDADD = $(GRAPH_LIBS) libtrnccl_core.la $(LIBSODIUM_LIBS) -lm

dist_check_SCRIPTS += tests/scripts/docs-generated
dist_check_SCRIPTS += tests/scripts/docs-links
dist_check_SCRIPTS += tests/scripts/docs-man
dist_check_SCRIPTS += tests/scripts/docs-perf
