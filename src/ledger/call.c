#include "ledger/lane.h"

enum { PORT_CAP = UINT32_MAX / 2 };

void ledger_port_init(struct ledger_port *port, void (*wake)(void *arg), void *wake_arg)
{
    *port = (struct ledger_port){.wake = wake, .wake_arg = wake_arg};
    queue_init(&port->answered, PORT_CAP); /* its ops were let in by the ledger's queue */
}

void ledger_port_fini(struct ledger_port *port)
{
    queue_fini(&port->answered);
}

bool lane_submit(struct lane *lane, struct ledger_port *port, struct op *op)
{
    struct ledger *ledger = lane->ledger;
    bool was_empty;
    op->port = port;
    op->outcome = OUTCOME_PENDING;
    op->sequence = 0;
    if (queue_try_push(&lane->submitted, op, &was_empty)) return true;
    pthread_mutex_lock(&ledger->mutex);
    ledger->stats.queue_full++;
    pthread_mutex_unlock(&ledger->mutex);
    return false;
}

bool ledger_submit(struct ledger *ledger, struct ledger_port *port, struct op *op)
{
    uint32_t lane = ledger->lanes_count == 1 ? 0 : lane_of(ledger, op);
    return lane_submit(&ledger->lanes[lane], port, op);
}

struct op *ledger_take_answered(struct ledger_port *port)
{
    return queue_pop_all(&port->answered, UINT32_MAX);
}

void ledger_call(struct ledger *ledger, struct op *op)
{
    struct ledger_port port;
    ledger_port_init(&port, NULL, NULL);
    if (ledger_submit(ledger, &port, op))
        queue_wait_all(&port.answered, 1, -1);
    else
        op->outcome = OUTCOME_UNAVAILABLE;
    ledger_port_fini(&port);
}

/* One lane for all of them keeps their order. */
void ledger_call_all(struct ledger *ledger, struct op *const ops[], size_t count)
{
    struct ledger_port port;
    size_t waiting = 0;
    ledger_port_init(&port, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        if (lane_submit(&ledger->lanes[0], &port, ops[i]))
            waiting++;
        else
            ops[i]->outcome = OUTCOME_UNAVAILABLE;
    }
    while (waiting > 0)
        for (struct op *op = queue_wait_all(&port.answered, UINT32_MAX, -1); op; op = op->next)
            waiting--;
    ledger_port_fini(&port);
}
