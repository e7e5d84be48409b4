/* Memory, registration, windows and pre-multiplied sums. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_check.h"
#include "mem/alloc.h"
#include "util/settings.h"

/* Puts the function's name before the sentence of a failure below. */
static trncclResult_t named(const char *name, trncclResult_t result)
{
    return result == trncclSuccess ? result
                                   : error_set(result, "%s: %s", name, error_text());
}

trncclResult_t trncclMemAlloc(void **ptr, size_t nbytes)
{
    if (!ptr)
        return error_set(trncclInvalidArgument, "trncclMemAlloc: ptr is NULL");
    TRY(settings_load());
    return named("trncclMemAlloc", alloc_create(ptr, nbytes));
}

trncclResult_t trncclMemFree(void *ptr)
{
    return ptr ? named("trncclMemFree", alloc_destroy(ptr)) : trncclSuccess;
}

/* ---- registration ---- */

static trncclResult_t check_range(const char *name, const char *what, trncclComm_t comm,
                                  const void *buff, size_t nbytes, const void *out)
{
    TRY(api_check_handle(name, comm));
    trncclResult_t result = comm_usable(comm);
    if (!out)
        result = error_set(trncclInvalidArgument, "%s: %s is NULL", name, what);
    else if (nbytes && (!buff || (uintptr_t)buff + nbytes < (uintptr_t)buff))
        result = error_set(trncclInvalidArgument,
                           "%s: buff is %p: %zu bytes there are not memory", name, buff,
                           nbytes);
    return comm_note(comm, result);
}

/* Memory from trncclMemAlloc is lent wherever it appears, so there is nothing to set up;
 * other memory cannot be mapped by another process and goes through the slots. The handle
 * is kept so that misuse is found. */
static trncclResult_t registration_create(trncclComm_t comm, void **handle)
{
    struct comm_registration *r = malloc(sizeof *r);
    if (!r)
        return error_set(trncclSystemError, "out of memory for a registration");
    r->next = comm->registrations;
    comm->registrations = r;
    *handle = r;
    return trncclSuccess;
}

static trncclResult_t registration_destroy(const char *name, trncclComm_t comm,
                                           const void *handle)
{
    TRY(api_check_handle(name, comm));
    struct comm_registration **at = &comm->registrations;
    while (*at && *at != handle)
        at = &(*at)->next;
    struct comm_registration *r = *at;
    if (!r)
        return comm_note(comm,
                         error_set(trncclInvalidArgument,
                                   "%s: %p is not a live handle of this communicator",
                                   name, handle));
    *at = r->next;
    free(r);
    return trncclSuccess;
}

trncclResult_t trncclCommRegister(trncclComm_t comm, void *buff, size_t nbytes,
                                  void **handle)
{
    TRY(check_range("trncclCommRegister", "handle", comm, buff, nbytes, handle));
    return comm_note(comm, registration_create(comm, handle));
}

trncclResult_t trncclCommDeregister(trncclComm_t comm, void *handle)
{
    return registration_destroy("trncclCommDeregister", comm, handle);
}

static trncclResult_t window_check(trncclComm_t comm, const void *buff, size_t nbytes,
                                   const trncclWindow_t *win, int winFlags)
{
    TRY(check_range("trncclCommWindowRegister", "win", comm, buff, nbytes, win));
    if (group_active())
        return comm_note(comm, error_set(trncclInvalidUsage,
                                         "trncclCommWindowRegister cannot be part of a "
                                         "group: it blocks until every rank has called "
                                         "it"));
    if (winFlags & ~TRNCCL_WIN_COLL_SYMMETRIC)
        return comm_note(comm,
                         error_set(trncclInvalidArgument,
                                   "trncclCommWindowRegister: winFlags is 0x%x, expected "
                                   "TRNCCL_WIN_DEFAULT or TRNCCL_WIN_COLL_SYMMETRIC",
                                   (unsigned)winFlags));
    return trncclSuccess;
}

trncclResult_t trncclCommWindowRegister(trncclComm_t comm, void *buff, size_t nbytes,
                                        trncclWindow_t *win, int winFlags)
{
    TRY(group_spoil(window_check(comm, buff, nbytes, win, winFlags)));
    uint64_t mine = nbytes, *all = calloc((size_t)comm->nranks, sizeof *all);
    if (!all)
        return comm_note(comm, error_set(trncclSystemError, "out of memory for %d ranks",
                                         comm->nranks));
    trncclResult_t result =
        comm_allgather(comm, COMM_WINDOW_SIZES, &mine, all, sizeof mine);
    for (int r = 0; r < comm->nranks && result == trncclSuccess; r++)
        if (all[r] != nbytes)
            result = error_set(
                trncclInvalidUsage,
                "trncclCommWindowRegister: rank %d registers %zu bytes, rank %d "
                "%llu: the size must be the same on all ranks",
                comm->rank, nbytes, r, (unsigned long long)all[r]);
    free(all);
    if (result == trncclSuccess)
        result = registration_create(comm, (void **)win);
    return comm_note(comm, result);
}

trncclResult_t trncclCommWindowDeregister(trncclComm_t comm, trncclWindow_t win)
{
    return registration_destroy("trncclCommWindowDeregister", comm, win);
}

/* ---- pre-multiplied sums ---- */

static trncclResult_t redop_check(const char *name, trncclComm_t comm)
{
    TRY(api_check_handle(name, comm));
    return comm_usable(comm);
}

static trncclResult_t redop_slot(trncclComm_t comm, int *out)
{
    for (*out = 0; *out < comm->nredops; ++*out)
        if (!comm->redops[*out].used)
            return trncclSuccess;
    if (comm->nredops == COMM_MAX_REDOPS)
        return error_set(
            trncclInvalidUsage,
            "trncclRedOpCreatePreMulSum: %d operations exist already; destroy "
            "those that are not needed",
            COMM_MAX_REDOPS);
    struct comm_redop *grown =
        realloc(comm->redops, (size_t)(comm->nredops + 1) * sizeof *grown);
    if (!grown)
        return error_set(trncclSystemError, "out of memory for an operation");
    comm->redops = grown;
    comm->nredops++;
    return trncclSuccess;
}

trncclResult_t trncclRedOpCreatePreMulSum(trncclRedOp_t *op, void *scalar,
                                          trncclDataType_t datatype,
                                          trncclScalarResidence_t residence,
                                          trncclComm_t comm)
{
    const char *name = "trncclRedOpCreatePreMulSum";
    TRY(redop_check(name, comm));
    size_t nbytes = combine_type_nbytes(datatype);
    if (!op || !scalar)
        return comm_note(comm, error_set(trncclInvalidArgument, "%s: %s is NULL", name,
                                         op ? "scalar" : "op"));
    if (!nbytes)
        return comm_note(comm, error_set(trncclInvalidArgument,
                                         "%s: datatype is %d, expected 0 to %d", name,
                                         (int)datatype, trncclNumTypes - 1));
    if (residence != trncclScalarDevice && residence != trncclScalarHostImmediate)
        return comm_note(comm, error_set(trncclInvalidArgument,
                                         "%s: residence is %d, expected 0 or 1", name,
                                         (int)residence));
    int slot = 0;
    TRY(comm_note(comm, redop_slot(comm, &slot)));
    struct comm_redop *r = &comm->redops[slot];
    *r = (struct comm_redop){.used = true, .type = datatype};
    if (residence == trncclScalarDevice)
        r->device = scalar;
    else
        memcpy(r->immediate, scalar, nbytes);
    *op = (trncclRedOp_t)(trncclNumOps + slot);
    return trncclSuccess;
}

trncclResult_t trncclRedOpDestroy(trncclRedOp_t op, trncclComm_t comm)
{
    TRY(redop_check("trncclRedOpDestroy", comm));
    int slot = (int)op < 0 ? -1 : (int)op - trncclNumOps;
    if (slot < 0 || slot >= comm->nredops || !comm->redops[slot].used)
        return comm_note(comm,
                         error_set(trncclInvalidArgument,
                                   "trncclRedOpDestroy: op is %d, not a live handle of "
                                   "this communicator",
                                   (int)op));
    comm->redops[slot].used = false;
    return trncclSuccess;
}
