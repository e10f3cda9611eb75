package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.KmsStatistics;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.examples.Samples;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.store.KeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import dev.sealwax.kms.vocabulary.KeyUnavailableException;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;

/**
 * One of the processes that {@link ManyTenants} pretends to have: a {@code Kms} with caches of its
 * own. Its traffic is for one thread.
 */
final class Pod implements AutoCloseable {
  private static final int MESSAGE_BYTES = 256;

  private final Kms kms;
  private final FaultSwitch calls = new FaultSwitch();
  private final List<String> tenants;
  private final List<byte[]> records;
  private final BitSet met = new BitSet();
  private final Samples samples = new Samples();

  /**
   * Opens it with nothing in memory.
   *
   * @param records an envelope of each tenant
   */
  Pod(RootKey rootKey, KeysetStore store, Clock clock, List<String> tenants, List<byte[]> records) {
    this.kms = Kms.builder().rootKey(calls.over(rootKey)).store(store).clock(clock).build();
    this.tenants = tenants;
    this.records = records;
  }

  static EncryptionContext context(String tenant) {
    return EncryptionContext.of("tenant", tenant, "record", "1");
  }

  static byte[] record(String tenant) {
    return Arrays.copyOf(tenant.getBytes(StandardCharsets.UTF_8), MESSAGE_BYTES);
  }

  /** Serves so many messages, once all pods are there; two of three are read. */
  Callable<Samples> serve(int messages, Zipf popularity, long seed, CyclicBarrier start) {
    return () -> {
      Random random = new Random(seed);
      awaitStart(start);
      for (int i = 0; i < messages; i++) {
        int tenant = popularity.next(random);
        met.set(tenant);
        long before = System.nanoTime();
        if (i % 3 == 0) {
          encrypt(tenant);
        } else if (!opens(tenant)) {
          throw new IllegalStateException("a record has become another");
        }
        samples.add(System.nanoTime() - before);
      }
      return samples;
    };
  }

  private static void awaitStart(CyclicBarrier start) throws InterruptedException {
    try {
      start.await();
    } catch (BrokenBarrierException e) {
      throw new IllegalStateException("another pod failed", e);
    }
  }

  /** The key version that a new record is under. */
  int encrypt(int tenant) {
    String name = tenants.get(tenant);
    byte[] envelope = kms.envelopeCipher(name).encrypt(record(name), context(name));
    return EnvelopeInfo.inspect(envelope).keyVersion();
  }

  boolean opens(int tenant) {
    String name = tenants.get(tenant);
    byte[] opened = kms.envelopeCipher(name).decrypt(records.get(tenant), context(name));
    return Arrays.equals(record(name), opened);
  }

  /** Why the record does not open; empty if it does. */
  String refusal(int tenant) {
    try {
      return opens(tenant) ? "" : "has become another";
    } catch (KeyUnavailableException e) {
      return e.reason().toString();
    }
  }

  /** Tenants that its traffic was about. */
  int tenantsMet() {
    return met.cardinality();
  }

  Samples samples() {
    return samples;
  }

  long rootCalls() {
    return calls.calls();
  }

  KmsStatistics statistics() {
    return kms.statistics();
  }

  @Override
  public void close() {
    kms.close();
  }
}
