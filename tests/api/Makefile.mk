# Black-box tests of include/trnccl.h: they link the installed library, not its inside.
API_TEST_LIBS = libtrnccl.la $(CMOCKA_LIBS)

check_PROGRAMS += tests/api/test_api_arguments
tests_api_test_api_arguments_SOURCES = tests/api/test_api_arguments.c
tests_api_test_api_arguments_LDADD = $(API_TEST_LIBS)
