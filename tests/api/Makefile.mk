# Black-box tests of include/trnccl.h: they link the installed library, not its inside.
api_team = tests/api/team.c tests/api/team.h
API_TEST_LIBS = libtrnccl.la $(CMOCKA_LIBS)

check_PROGRAMS += tests/api/test_api_arguments
tests_api_test_api_arguments_SOURCES = tests/api/test_api_arguments.c
tests_api_test_api_arguments_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_death
tests_api_test_api_death_SOURCES = tests/api/test_api_death.c $(api_team)
tests_api_test_api_death_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_disagree
tests_api_test_api_disagree_SOURCES = tests/api/test_api_disagree.c $(api_team)
tests_api_test_api_disagree_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_forced
tests_api_test_api_forced_SOURCES = tests/api/test_api_forced.c $(api_team)
tests_api_test_api_forced_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_give_up
tests_api_test_api_give_up_SOURCES = tests/api/test_api_give_up.c $(api_team)
tests_api_test_api_give_up_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_groups
tests_api_test_api_groups_SOURCES = tests/api/test_api_groups.c $(api_team)
tests_api_test_api_groups_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_later
tests_api_test_api_later_SOURCES = tests/api/test_api_later.c
tests_api_test_api_later_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_life
tests_api_test_api_life_SOURCES = tests/api/test_api_life.c $(api_team)
tests_api_test_api_life_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_limits
tests_api_test_api_limits_SOURCES = tests/api/test_api_limits.c $(api_team)
tests_api_test_api_limits_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_memory
tests_api_test_api_memory_SOURCES = tests/api/test_api_memory.c $(api_team)
tests_api_test_api_memory_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_order
tests_api_test_api_order_SOURCES = tests/api/test_api_order.c
tests_api_test_api_order_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_streams
tests_api_test_api_streams_SOURCES = tests/api/test_api_streams.c $(api_team)
tests_api_test_api_streams_LDADD = $(API_TEST_LIBS)

check_PROGRAMS += tests/api/test_api_unseen
tests_api_test_api_unseen_SOURCES = tests/api/test_api_unseen.c $(api_team)
tests_api_test_api_unseen_LDADD = $(API_TEST_LIBS)
