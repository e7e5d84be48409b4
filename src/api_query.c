/* Questions: versions, errors, and what a communicator is. */
#include <stdio.h>

#include "api_check.h"

trncclResult_t trncclGetVersion(int *version)
{
    if (!version)
        return error_set(trncclInvalidArgument, "trncclGetVersion: version is NULL");
    *version = TRNCCL_VERSION_CODE;
    return trncclSuccess;
}

const char *trncclGetErrorString(trncclResult_t result)
{
    return error_string(result);
}

size_t trncclTypeSize(trncclDataType_t type)
{
    return combine_type_nbytes(type);
}

const char *trncclGetLastError(trncclComm_t comm)
{
    if (!comm || comm->magic != COMM_MAGIC || !comm_owned(comm))
        return error_text();
    static _Thread_local char text[ERROR_TEXT_BYTES];
    pthread_mutex_lock(&comm->error_lock);
    snprintf(text, sizeof text, "%s", comm->error_text);
    pthread_mutex_unlock(&comm->error_lock);
    return text;
}

trncclResult_t trncclCommGetAsyncError(trncclComm_t comm, trncclResult_t *result)
{
    TRY(api_check_handle("trncclCommGetAsyncError", comm));
    if (!result)
        return error_set(trncclInvalidArgument,
                         "trncclCommGetAsyncError: result is NULL");
    int state = atomic_load(&comm->async_result);
    if (state == trncclSuccess && atomic_load(&comm->aborted))
        state = trncclAborted;
    if (state == trncclSuccess)
        state = atomic_load(&comm->host->fault);
    *result = (trncclResult_t)state;
    return trncclSuccess;
}

trncclResult_t trncclCommCount(trncclComm_t comm, int *count)
{
    TRY(api_check_handle("trncclCommCount", comm));
    if (!count)
        return error_set(trncclInvalidArgument, "trncclCommCount: count is NULL");
    *count = comm->nranks;
    return trncclSuccess;
}

trncclResult_t trncclCommUserRank(trncclComm_t comm, int *rank)
{
    TRY(api_check_handle("trncclCommUserRank", comm));
    if (!rank)
        return error_set(trncclInvalidArgument, "trncclCommUserRank: rank is NULL");
    *rank = comm->rank;
    return trncclSuccess;
}

trncclResult_t trncclCommDevice(trncclComm_t comm, int *device)
{
    TRY(api_check_handle("trncclCommDevice", comm));
    if (!device)
        return error_set(trncclInvalidArgument, "trncclCommDevice: device is NULL");
    *device = comm->device;
    return trncclSuccess;
}

trncclResult_t trncclCommGetAlgorithm(trncclComm_t comm, const char **name)
{
    TRY(api_check_handle("trncclCommGetAlgorithm", comm));
    if (!name)
        return error_set(trncclInvalidArgument, "trncclCommGetAlgorithm: name is NULL");
    *name = comm->last_algo;
    return trncclSuccess;
}
