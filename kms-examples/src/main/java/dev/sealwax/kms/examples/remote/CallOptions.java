package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.envelope.DataKeyPolicy;
import dev.sealwax.kms.examples.InputException;
import dev.sealwax.kms.examples.NumberOptions;
import dev.sealwax.kms.vocabulary.CachePolicy;
import java.time.Duration;
import java.util.List;

/**
 * What {@link KmsCalculator} reckons with.
 *
 * @param messagesPerSecond of all processes together, encrypted and decrypted
 * @param keysets that are in use in each process
 * @param dataKeyMessages for which a data key encrypts
 * @param sample messages to measure with
 * @param pricePer10000Calls in any currency; 0 if not entered
 * @param quota calls per second that the service allows; 0 if not entered
 */
record CallOptions(
    double messagesPerSecond,
    int keysets,
    int processes,
    Duration softTtl,
    Duration hardTtl,
    int dataKeyMessages,
    int sample,
    double pricePer10000Calls,
    double quota) {
  static final String USAGE =
      """
      usage: KmsCalculator [options]

        --messages-per-second N  of all processes together (default 1000)
        --processes N            with caches of their own (10)
        --keysets N              in use in each process (1000)
        --soft-minutes N         after which a key version is renewed (30)
        --hard-minutes N         after which it is gone (120)
        --data-key-messages N    for which a data key encrypts (16777216)
        --price P                of 10,000 calls of the KMS (0)
        --quota N                calls per second that the KMS allows (0)
        --sample N               messages to measure with (200000)

      Price and quota are yours to enter, from your provider's list; none is built in.\
      """;

  static CallOptions parse(List<String> arguments) {
    NumberOptions options =
        new NumberOptions()
            .withNumber("--messages-per-second", 1000)
            .withWhole("--processes", 10, 1, 1_000_000)
            .withWhole("--keysets", 1000, 1, 100_000)
            .withWhole("--soft-minutes", 30, 1, 60 * 24 * 365)
            .withWhole("--hard-minutes", 120, 1, 60 * 24 * 365)
            .withWhole("--data-key-messages", 1 << 24, 1, Integer.MAX_VALUE)
            .withWhole("--sample", 200_000, 1000, 1_000_000_000)
            .withNumber("--price", 0)
            .withNumber("--quota", 0)
            .parse(arguments);
    CallOptions parsed =
        new CallOptions(
            options.number("--messages-per-second"),
            options.whole("--keysets"),
            options.whole("--processes"),
            Duration.ofMinutes(options.whole("--soft-minutes")),
            Duration.ofMinutes(options.whole("--hard-minutes")),
            options.whole("--data-key-messages"),
            options.whole("--sample"),
            options.number("--price"),
            options.number("--quota"));
    if (parsed.messagesPerSecond <= 0) {
      throw new InputException("--messages-per-second must be above 0");
    }
    if (parsed.hardTtl.compareTo(parsed.softTtl) < 0) {
      throw new InputException("--hard-minutes must not be less than --soft-minutes");
    }
    return parsed;
  }

  /** Messages that one process sees in its first second, as far as the sample goes. */
  int firstSecond() {
    return (int) Math.max(1, Math.min(sample, Math.ceil(messagesPerSecond / processes)));
  }

  CachePolicy keyVersions() {
    return CachePolicy.of(softTtl, hardTtl, Math.max(keysets, 100_000));
  }

  DataKeyPolicy dataKeys() {
    return DataKeyPolicy.defaults().withMaxMessages(dataKeyMessages);
  }
}
