package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Rotates the keysets and moves all envelopes to their new versions, and shows that they open
 * before and after, that their payloads stay as they were, and that nothing else opens.
 */
final class RotationProof {
  private final Kms kms;
  private final Terminal terminal;

  RotationProof(Kms kms, Terminal terminal) {
    this.kms = kms;
    this.terminal = terminal;
  }

  /** Returns whether every proof succeeded; says which did not. */
  boolean rotateAndRewrap(List<Part> parts) throws IOException {
    Set<KeysetId> keysets = new LinkedHashSet<>();
    parts.forEach(part -> keysets.add(part.cipher().keyset()));
    for (KeysetId keyset : keysets) {
      int version = kms.keysets().rotate(keyset.value()).primary();
      terminal.say("rotated keyset %s to version %d", keyset, version);
    }
    List<String> before = new ArrayList<>();
    for (Part part : parts) {
      part.open(terminal);
      before.add(part.payloads(terminal).digest());
    }
    terminal.say("  opened   all envelopes of the older version, content as encrypted");
    boolean proven = true;
    for (int i = 0; i < parts.size(); i++) {
      proven &= rewrap(parts.get(i), before.get(i));
    }
    for (Part part : parts) {
      proven &= attack(part);
    }
    return proven;
  }

  private boolean rewrap(Part part, String payloadsBefore) throws IOException {
    String unit = part.figures().unit();
    part.rewrap(terminal);
    Payloads after = part.payloads(terminal);
    after
        .countByVersion()
        .forEach(
            (version, count) ->
                terminal.say(
                    "  moved    %s now under version %d", PartFigures.count(count, unit), version));
    int primary = kms.keysets().get(part.cipher().keyset().value()).primary();
    boolean moved = after.countByVersion().keySet().stream().allMatch(v -> v == primary);
    boolean same = after.digest().equals(payloadsBefore);
    part.open(terminal);
    terminal.say("  opened   %s again; payload bytes %s", unit, same ? "identical" : "CHANGED");
    return moved && same;
  }

  private boolean attack(Part part) throws IOException {
    Optional<Sample> sample = part.sample();
    if (sample.isEmpty()) {
      return true;
    }
    boolean isColumns = part.cipher().keyset().value().equals(FirstRun.COLUMNS);
    EnvelopeCipher other = kms.envelopeCipher(isColumns ? FirstRun.FILES : FirstRun.COLUMNS);
    terminal.say("attacks on one of the %s", part.figures().unit());
    return Attacks.areRefused(sample.get(), part.cipher(), other, terminal);
  }
}
