package dev.sealwax.kms.pkcs11;

import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where a token is and how to use it. Immutable; each {@code with} returns a changed copy.
 *
 * <p>The URI is that of RFC 7512: {@code token}, {@code serial}, {@code manufacturer} and {@code
 * model} name the token, {@code object} (label) and {@code id} the root key. At least one of the
 * former must be there; {@code token} and {@code serial} together are best. For example {@code
 * pkcs11:token=kms;serial=0a1b;object=orders-root;id=%3f%9a...}. Slot numbers are not taken,
 * because they change. PINs in a URI are refused.
 */
public final class Pkcs11Config {
  private static final int MAX_SESSIONS = 256;

  private final Path module;
  private final Pkcs11Uri uri;
  private final @Nullable PinSource pin;
  private final @Nullable String moduleArguments;
  private final int maxSessions;
  private final Duration callTimeout;
  private final Duration firstBackOff;
  private final Duration longestBackOff;
  private final @Nullable WrapMechanism mechanism;
  private final Set<Concession> concessions;

  private Pkcs11Config(Draft draft) {
    this.module = draft.module;
    this.uri = draft.uri;
    this.pin = draft.pin;
    this.moduleArguments = draft.moduleArguments;
    this.maxSessions = draft.maxSessions;
    this.callTimeout = draft.callTimeout;
    this.firstBackOff = draft.firstBackOff;
    this.longestBackOff = draft.longestBackOff;
    this.mechanism = draft.mechanism;
    this.concessions = draft.concessions;
  }

  /** The fields while they change. */
  private static final class Draft {
    private Path module;
    private Pkcs11Uri uri;
    private @Nullable PinSource pin;
    private @Nullable String moduleArguments;
    private int maxSessions = 4;
    private Duration callTimeout = Duration.ofSeconds(10);
    private Duration firstBackOff = Duration.ofMillis(100);
    private Duration longestBackOff = Duration.ofSeconds(5);
    private @Nullable WrapMechanism mechanism;
    private Set<Concession> concessions = Set.of();

    Draft(Path module, Pkcs11Uri uri) {
      this.module = module;
      this.uri = uri;
    }
  }

  private Draft draft() {
    Draft draft = new Draft(module, uri);
    draft.pin = pin;
    draft.moduleArguments = moduleArguments;
    draft.maxSessions = maxSessions;
    draft.callTimeout = callTimeout;
    draft.firstBackOff = firstBackOff;
    draft.longestBackOff = longestBackOff;
    draft.mechanism = mechanism;
    draft.concessions = concessions;
    return draft;
  }

  /**
   * Names a module and a token or key.
   *
   * @param module absolute path of the shared library
   * @param uri see the class
   * @throws IllegalArgumentException if the path is relative (the loader would search for it), or
   *     the URI is malformed, holds a PIN, or names no token
   */
  public static Pkcs11Config of(Path module, String uri) {
    Objects.requireNonNull(module, "module");
    if (!module.isAbsolute()) {
      throw new IllegalArgumentException(
          "path of a PKCS#11 module must be absolute, so that nobody's search path decides: "
              + module);
    }
    Pkcs11Uri parsed = Pkcs11Uri.parse(uri);
    if (!parsed.namesToken()) {
      throw new IllegalArgumentException(
          "the PKCS#11 URI names no token; add token=... or serial=...");
    }
    return new Pkcs11Config(new Draft(module, parsed));
  }

  /** Where the user PIN comes from; without one, only tokens that need no login can be used. */
  public Pkcs11Config withPin(PinSource source) {
    Draft draft = draft();
    draft.pin = Objects.requireNonNull(source, "PIN source");
    return new Pkcs11Config(draft);
  }

  /** What the module wants to be told when it is initialized; NSS names its database this way. */
  public Pkcs11Config withModuleArguments(String arguments) {
    Draft draft = draft();
    draft.moduleArguments = Objects.requireNonNull(arguments, "module arguments");
    return new Pkcs11Config(draft);
  }

  /**
   * How many sessions are used at once, 4 by default. One more keeps the login. A token that allows
   * fewer gets fewer.
   *
   * @throws IllegalArgumentException if not within 1 and 256
   */
  public Pkcs11Config withMaxSessions(int sessions) {
    if (sessions < 1 || sessions > MAX_SESSIONS) {
      throw new IllegalArgumentException(
          "sessions must be 1 to " + MAX_SESSIONS + ", got " + sessions);
    }
    Draft draft = draft();
    draft.maxSessions = sessions;
    return new Pkcs11Config(draft);
  }

  /**
   * How long a call may take, waiting for a session and recovery included, 10 seconds by default.
   * Creating RSA keys may take longer than that on small tokens.
   *
   * @throws IllegalArgumentException if not positive
   */
  public Pkcs11Config withCallTimeout(Duration timeout) {
    Draft draft = draft();
    draft.callTimeout = positive(timeout, "call timeout");
    return new Pkcs11Config(draft);
  }

  /**
   * How long to wait after a recovery that failed, before the next: from {@code first}, doubled
   * each time, up to {@code longest}. 100 milliseconds and 5 seconds by default. Calls in between
   * fail at once. For recoveries of the module those of the first configuration in this JVM count,
   * as long as the module is in use.
   *
   * @throws IllegalArgumentException if not positive, or the wrong way round
   */
  public Pkcs11Config withBackOff(Duration first, Duration longest) {
    Draft draft = draft();
    draft.firstBackOff = positive(first, "first back-off");
    draft.longestBackOff = positive(longest, "longest back-off");
    if (first.compareTo(longest) > 0) {
      throw new IllegalArgumentException(
          "first back-off " + first + " is longer than the longest " + longest);
    }
    return new Pkcs11Config(draft);
  }

  /**
   * The mechanism to wrap with, instead of the first of the list that passes its test. What was
   * wrapped by another mechanism of the same key still unwraps.
   */
  public Pkcs11Config withMechanism(WrapMechanism wanted) {
    Draft draft = draft();
    draft.mechanism = Objects.requireNonNull(wanted, "mechanism");
    return new Pkcs11Config(draft);
  }

  /** Accepts what would be refused. */
  public Pkcs11Config accepting(Concession concession) {
    Draft draft = draft();
    Set<Concession> more = EnumSet.of(Objects.requireNonNull(concession, "concession"));
    more.addAll(concessions);
    draft.concessions = Set.copyOf(more);
    return new Pkcs11Config(draft);
  }

  /** The same token, another key. */
  Pkcs11Config withKey(@Nullable String label, byte @Nullable [] id) {
    Draft draft = draft();
    draft.uri = uri.withKey(label, id);
    return new Pkcs11Config(draft);
  }

  private static Duration positive(Duration value, String what) {
    if (Objects.requireNonNull(value, what).isNegative() || value.isZero()) {
      throw new IllegalArgumentException(what + " must be positive, got " + value);
    }
    return value;
  }

  Path module() {
    return module;
  }

  Pkcs11Uri uri() {
    return uri;
  }

  @Nullable PinSource pin() {
    return pin;
  }

  @Nullable String moduleArguments() {
    return moduleArguments;
  }

  int maxSessions() {
    return maxSessions;
  }

  Duration callTimeout() {
    return callTimeout;
  }

  Duration firstBackOff() {
    return firstBackOff;
  }

  Duration longestBackOff() {
    return longestBackOff;
  }

  @Nullable WrapMechanism mechanism() {
    return mechanism;
  }

  boolean accepts(Concession concession) {
    return concessions.contains(concession);
  }

  /** Module and URI; never the module's arguments, which may name places nobody asked for. */
  @Override
  public String toString() {
    return "Pkcs11Config[" + module + ", " + uri + "]";
  }
}
