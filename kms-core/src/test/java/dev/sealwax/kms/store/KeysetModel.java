package dev.sealwax.kms.store;

import dev.sealwax.kms.keyset.KeyState;
import dev.sealwax.kms.keyset.KeyVersion;
import dev.sealwax.kms.keyset.Keyset;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A keyset as far as the operator's verbs change it, and what they make of it: the table of
 * keyset-v1 §4, written a second time to compare with.
 *
 * @param previous the primary before this one, or 0
 * @param states a letter for each version: Pending, Enabled, Disabled, Compromised, Scheduled (c if
 *     it is compromised as well), X if destroyed
 */
record KeysetModel(int primary, int previous, String states) {
  private static final Pattern PRIMARIES =
      Pattern.compile("\"primary\":(\\d+),\"previousPrimary\":(null|\\d+),");
  private static final Pattern VERSION =
      Pattern.compile("\"state\":\"([A-Z_]+)\"[^}]*?\"compromised\":(true|false)");

  /** What a process does to a keyset. */
  enum Verb {
    GET,
    ROTATE,
    PUBLISH,
    PROMOTE,
    ROLLBACK,
    DISABLE,
    ENABLE,
    COMPROMISE,
    SCHEDULE,
    CANCEL,
    DESTROY
  }

  /** A keyset that was just created. */
  static KeysetModel created() {
    return new KeysetModel(1, 0, "E");
  }

  static KeysetModel of(Keyset keyset) {
    StringBuilder states = new StringBuilder();
    for (KeyVersion version : keyset.versions()) {
      states.append(letter(version.state(), version.isCompromised()));
    }
    return new KeysetModel(keyset.primary(), keyset.previousPrimary().orElse(0), states.toString());
  }

  /** Of a document as it is written, without the help of the code that writes it. */
  static KeysetModel ofDocument(String document) {
    Matcher primaries = PRIMARIES.matcher(document);
    if (!primaries.find()) {
      throw new IllegalArgumentException("no primary in " + document);
    }
    StringBuilder states = new StringBuilder();
    for (Matcher version = VERSION.matcher(document); version.find(); ) {
      states.append(
          letter(KeyState.valueOf(version.group(1)), Boolean.parseBoolean(version.group(2))));
    }
    String previous = primaries.group(2);
    return new KeysetModel(
        Integer.parseInt(primaries.group(1)),
        previous.equals("null") ? 0 : Integer.parseInt(previous),
        states.toString());
  }

  private static char letter(KeyState state, boolean compromised) {
    return switch (state) {
      case PENDING -> 'P';
      case ENABLED -> 'E';
      case DISABLED -> 'D';
      case COMPROMISED -> 'C';
      case DESTRUCTION_SCHEDULED -> compromised ? 'c' : 'S';
      case DESTROYED -> 'X';
    };
  }

  /** The keyset after a verb, or nothing if its state does not allow that. */
  Optional<KeysetModel> after(Verb verb, int version) {
    return switch (verb) {
      case GET -> Optional.of(this);
      case ROTATE -> Optional.of(withPrimary(states.length() + 1, states + "E"));
      case PUBLISH -> Optional.of(new KeysetModel(primary, previous, states + "P"));
      case PROMOTE ->
          version == primary
              ? Optional.empty()
              : with(version, "PE", 'E').map(next -> withPrimary(version, next.states));
      case ROLLBACK -> with(previous, "E", 'E').map(next -> withPrimary(previous, states));
      case DISABLE -> with(version, "PE", 'D');
      case ENABLE -> with(version, "D", 'E');
      case COMPROMISE -> with(version, "PED", 'C');
      case SCHEDULE ->
          version == primary
              ? Optional.empty()
              : with(version, "PED", 'S').or(() -> with(version, "C", 'c'));
      case CANCEL -> with(version, "S", 'D').or(() -> with(version, "c", 'C'));
      case DESTROY -> version == primary ? Optional.empty() : with(version, "Sc", 'X');
    };
  }

  /** Whether a verb can have been refused in this state. */
  boolean mayRefuse(Verb verb, int version) {
    // A destruction may not be due yet; dates are not part of this.
    return verb == Verb.DESTROY || after(verb, version).isEmpty();
  }

  private KeysetModel withPrimary(int next, String nextStates) {
    return new KeysetModel(next, primary, nextStates);
  }

  private Optional<KeysetModel> with(int version, String from, char to) {
    if (version < 1 || version > states.length() || from.indexOf(states.charAt(version - 1)) < 0) {
      return Optional.empty();
    }
    StringBuilder next = new StringBuilder(states);
    next.setCharAt(version - 1, to);
    return Optional.of(new KeysetModel(primary, previous, next.toString()));
  }

  @Override
  public String toString() {
    return primary + "<" + previous + ":" + states;
  }
}
