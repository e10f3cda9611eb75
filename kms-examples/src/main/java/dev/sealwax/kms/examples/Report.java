package dev.sealwax.kms.examples;

import static dev.sealwax.kms.examples.PartFigures.bytes;
import static dev.sealwax.kms.examples.PartFigures.count;

import dev.sealwax.kms.KmsStatistics;
import dev.sealwax.kms.envelope.EnvelopeStatistics;
import java.util.List;
import java.util.Locale;

/** The table at the end of {@link ProtectFiles}. */
final class Report {
  private Report() {}

  static void print(Terminal terminal, KmsStatistics statistics, List<Part> parts) {
    PartFigures values = new PartFigures("values");
    PartFigures files = new PartFigures("files");
    for (Part part : parts) {
      (part instanceof CsvPart ? values : files).add(part.figures());
    }
    terminal.say("");
    row(terminal, "", "column values", "files");
    row(terminal, "messages", count(values.messages), count(files.messages));
    row(terminal, "plaintext", bytes(values.plaintextBytes), bytes(files.plaintextBytes));
    row(terminal, "sealed", bytes(values.sealedBytes), bytes(files.sealedBytes));
    row(terminal, "encrypt, with I/O", values.encryptSpeed(), files.encryptSpeed());
    row(terminal, "open, with I/O", values.openSpeed(), files.openSpeed());
    row(terminal, "rewrap, with I/O", values.rewrapSpeed(), files.rewrapSpeed());
    EnvelopeStatistics envelopes = statistics.envelopes();
    long operations =
        envelopes.messagesEncrypted()
            + envelopes.messagesDecrypted()
            + envelopes.headersRewrapped();
    terminal.say("");
    terminal.say(
        "root key calls         %d (%d wrap, %d unwrap) for %s operations",
        statistics.rootWraps() + statistics.rootUnwraps(),
        statistics.rootWraps(),
        statistics.rootUnwraps(),
        count(operations));
    terminal.say(
        "cache hit rate         %s encrypting, %s opening",
        percent(envelopes.encryptKeys().hitRate()), percent(envelopes.decryptKeys().hitRate()));
  }

  private static void row(Terminal terminal, String label, String values, String files) {
    terminal.say("%-22s %26s %26s", label, values, files);
  }

  private static String percent(double share) {
    // Rounded down: 100 % means every one.
    return String.format(Locale.ROOT, "%.2f %%", Math.floor(share * 10_000) / 100);
  }
}
