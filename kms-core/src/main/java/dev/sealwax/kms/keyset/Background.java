package dev.sealwax.kms.keyset;

import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.LongSupplier;

/**
 * The clock and the threads of one {@code Kms}; for the use of the façade, which owns them. All
 * executors may reject.
 *
 * @param nanoClock monotonic and cheap: read by every operation; its step bounds the accuracy of
 *     all ages
 * @param refresher reads keysets again, which calls the store and seldom the root key
 * @param renewer unwraps and makes cached keys again, which calls the root key
 * @param watcher runs the one task that follows the changes of the store until it is interrupted or
 *     the keysets are closed
 * @param timer wipes cached keys that have expired; drops a task that is called off
 */
public record Background(
    LongSupplier nanoClock,
    Executor refresher,
    Executor renewer,
    Executor watcher,
    ScheduledExecutorService timer) {}
