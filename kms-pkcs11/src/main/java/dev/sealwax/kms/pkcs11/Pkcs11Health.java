package dev.sealwax.kms.pkcs11;

import java.time.Duration;
import java.util.Optional;

/**
 * How a connection to a token does; a snapshot, made without asking the token.
 *
 * @param circuit whether the token is called
 * @param consecutiveFailures how often the token, or else its module, was left alone since a call
 *     last succeeded
 * @param untilNextAttempt how long calls will still fail at once; zero unless the circuit is open
 * @param lastFailure what the module said when it was last left alone, if ever
 * @param reinitializations how often the module was finalized and initialized anew
 * @param logins how often this connection logged in
 * @param sessions open sessions, without the one that keeps the login
 * @param callsUnderWay calls inside the module or on their way
 * @param callsWaiting calls that wait for a session
 * @param callsOverdue calls whose callers have given up, and which the module has not returned from
 * @param pin what the token says about its PIN, as of the last login
 */
public record Pkcs11Health(
    CircuitState circuit,
    int consecutiveFailures,
    Duration untilNextAttempt,
    Optional<String> lastFailure,
    long reinitializations,
    long logins,
    int sessions,
    int callsUnderWay,
    int callsWaiting,
    int callsOverdue,
    PinState pin) {}
