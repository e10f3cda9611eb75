package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeStatistics;
import dev.sealwax.kms.examples.Calendar;
import dev.sealwax.kms.examples.NumberOptions;
import dev.sealwax.kms.examples.ProgressBar;
import dev.sealwax.kms.examples.Samples;
import dev.sealwax.kms.examples.Terminal;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.keyset.RotationPolicy;
import dev.sealwax.kms.keyset.ScheduledChange.Outcome;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;

/**
 * A keyset for each of many tenants under one root key, as pods of a cluster use them: all start
 * cold at the same time, one tenant is revoked, one is shredded, and the keys of all others are
 * rotated. {@code --help} lists what it can be told.
 */
public final class ManyTenants {
  static final String USAGE =
      """
      usage: ManyTenants [options]

        --tenants N   each with a keyset of its own (default 1000)
        --pods N      that start together, with caches of their own (3)
        --messages N  that each pod serves (20000)
        --skew S      of popularity, by Zipf: 0 for none (1)

      The pods are instances of Kms in this JVM; the store that they share is a directory.
      Exit code: 0 all as it should be; 1 not; 2 wrong arguments.\
      """;

  private static final int REVOKED = 0; // the busiest
  private static final int SHREDDED = 1;
  private static final Duration PATIENCE = Duration.ofMinutes(2);
  private static final int LOOK_MILLIS = 10;
  private static final RotationPolicy MONTHLY =
      RotationPolicy.manual().afterAge(Duration.ofDays(30));

  private final PrintStream out;
  private final int messages;
  private final Zipf popularity;
  private final Calendar calendar = new Calendar(Instant.now());
  private final List<String> tenants = new ArrayList<>();
  private final List<byte[]> records = new ArrayList<>();
  private final List<Pod> pods = new ArrayList<>();
  private boolean passed = true;

  private ManyTenants(NumberOptions options, PrintStream out) {
    this.out = out;
    this.messages = options.whole("--messages");
    this.popularity = new Zipf(options.whole("--tenants"), options.number("--skew"));
  }

  public static void main(String[] args) {
    RemoteExample.main(USAGE, args, ManyTenants::run);
  }

  static boolean run(Path directory, List<String> arguments, PrintStream out)
      throws InterruptedException {
    NumberOptions options =
        new NumberOptions()
            .withWhole("--tenants", 1000, 10, 100_000)
            .withWhole("--pods", 3, 1, 50)
            .withWhole("--messages", 20_000, 100, 100_000_000)
            .withNumber("--skew", 1)
            .parse(arguments);
    ManyTenants example = new ManyTenants(options, out);
    Path file = directory.resolve("root.key");
    LocalRootKey.create(file, RemoteExample.sealingKey()).close();
    Path keysets = directory.resolve("keysets");
    try (Kms operator =
        Kms.builder()
            .rootKey(LocalRootKey.open(file, RemoteExample.sealingKey()))
            .store(FileKeysetStore.at(keysets))
            .clock(example.calendar)
            .build()) {
      example.createTenants(operator, options.whole("--tenants"));
      long heapBefore = usedHeap();
      for (int i = 0; i < options.whole("--pods"); i++) {
        example.pods.add(
            new Pod(
                LocalRootKey.open(file, RemoteExample.sealingKey()),
                FileKeysetStore.at(keysets),
                example.calendar,
                example.tenants,
                example.records));
      }
      example.say(
          "pods      %d instances of Kms in this JVM, nothing in memory", example.pods.size());
      example.serve();
      example.meetAll(heapBefore);
      example.revoke(operator);
      example.shred(operator);
      example.rotate(operator);
    } finally {
      example.pods.forEach(Pod::close);
    }
    example.say("");
    example.say(example.passed ? "PASSED" : "FAILED: see what is marked NOT");
    return example.passed;
  }

  private void createTenants(Kms operator, int count) {
    KeysetTemplate template = KeysetTemplate.defaults().withRotationPolicy(MONTHLY);
    for (int i = 1; i <= count; i++) {
      String tenant = String.format(Locale.ROOT, "tenant-%05d", i);
      operator.keysets().create(tenant, template);
      tenants.add(tenant);
      records.add(operator.envelopeCipher(tenant).encrypt(Pod.record(tenant), Pod.context(tenant)));
    }
    say("tenants   %,d, each with a keyset; one root key, in a file", count);
  }

  // --- traffic ---

  private void serve() throws InterruptedException {
    ExecutorService threads = Executors.newFixedThreadPool(pods.size());
    CyclicBarrier start = new CyclicBarrier(pods.size());
    try {
      List<Future<Samples>> served = new ArrayList<>();
      for (Pod pod : pods) {
        served.add(threads.submit(pod.serve(messages, popularity, served.size(), start)));
      }
      for (Future<Samples> one : served) {
        one.get();
      }
    } catch (ExecutionException e) {
      throw new IllegalStateException("a pod failed", e.getCause());
    } finally {
      threads.shutdownNow();
    }
    say("");
    say(
        "%3s %10s %12s %11s %13s %13s %9s %9s",
        "pod",
        "messages",
        "tenants met",
        "root calls",
        "encrypt hits",
        "decrypt hits",
        "p50 us",
        "p99 us");
    for (int i = 0; i < pods.size(); i++) {
      Pod pod = pods.get(i);
      EnvelopeStatistics envelopes = pod.statistics().envelopes();
      say(
          "%3d %,10d %,12d %,11d %13s %13s %,9.1f %,9.1f",
          i + 1,
          pod.samples().size(),
          pod.tenantsMet(),
          pod.rootCalls(),
          percent(envelopes.encryptKeys().hitRate()),
          percent(envelopes.decryptKeys().hitRate()),
          pod.samples().micros(0.50),
          pod.samples().micros(0.99));
    }
    boolean once = pods.stream().allMatch(pod -> pod.rootCalls() <= pod.tenantsMet());
    require(once, "root      called at most once for each key version and pod");
  }

  private static String percent(double share) {
    // Rounded down: 100 % means every one.
    return String.format(Locale.ROOT, "%.2f %%", Math.floor(share * 10_000) / 100);
  }

  /** All pods meet all tenants, so that what they hold can be weighed. */
  private void meetAll(long heapBefore) {
    long opened = countOpen(Set.of());
    long perTenant = (usedHeap() - heapBefore) / ((long) tenants.size() * pods.size());
    require(
        opened == (long) tenants.size() * pods.size()
            && pods.stream().allMatch(pod -> pod.rootCalls() == tenants.size()),
        "memory    %,d bytes of heap for each tenant and pod, all tenants met; %,d root calls a"
            + " pod",
        perTenant,
        pods.get(0).rootCalls());
  }

  private static long usedHeap() {
    System.gc();
    System.gc();
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  /** Records that open, over all pods, of all tenants but these. */
  private long countOpen(Set<Integer> without) {
    long opened = 0;
    for (Pod pod : pods) {
      for (int tenant = 0; tenant < tenants.size(); tenant++) {
        if (!without.contains(tenant) && pod.refusal(tenant).isEmpty()) {
          opened++;
        }
      }
    }
    return opened;
  }

  // --- what an operator does ---

  private void revoke(Kms operator) throws InterruptedException {
    operator.keysets().disable(tenants.get(REVOKED), 1);
    long took = awaitRefusal(REVOKED, "DISABLED");
    long others = countOpen(Set.of(REVOKED));
    require(
        took >= 0 && others == (tenants.size() - 1L) * pods.size(),
        "revoked   %s: DISABLED in every pod after %,d ms; of the others %,d of %,d open",
        tenants.get(REVOKED),
        took,
        others / pods.size(),
        tenants.size() - 1);
  }

  private void shred(Kms operator) throws InterruptedException {
    String tenant = tenants.get(SHREDDED);
    operator.keysets().scheduleDestruction(tenant);
    long took = awaitRefusal(SHREDDED, "DESTRUCTION_SCHEDULED");
    calendar.advance(Duration.ofDays(30)); // nobody can wait for that
    operator.keysets().destroy(tenant);
    boolean gone = awaitRefusal(SHREDDED, "DESTROYED") >= 0;
    long others = countOpen(Set.of(REVOKED, SHREDDED));
    require(
        took >= 0 && gone && others == (tenants.size() - 2L) * pods.size(),
        "shredded  %s: refused in every pod after %,d ms, DESTROYED 30 days later; of the others"
            + " %,d of %,d open",
        tenant,
        took,
        others / pods.size(),
        tenants.size() - 2);
  }

  /** The milliseconds until all pods refuse a tenant for that reason; -1 if they do not. */
  private long awaitRefusal(int tenant, String reason) throws InterruptedException {
    long start = System.nanoTime();
    boolean refused =
        await(() -> pods.stream().allMatch(pod -> pod.refusal(tenant).equals(reason)));
    return refused ? TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start) : -1;
  }

  /** A month has passed since the tenants came, so the scheduler rotates them all. */
  private void rotate(Kms operator) throws InterruptedException {
    int expected = tenants.size() - 2;
    AtomicInteger published = new AtomicInteger();
    AtomicInteger promoted = new AtomicInteger();
    long rootCalls = rootCalls(operator);
    long start = System.nanoTime();
    operator.startScheduler(
        Duration.ofSeconds(1),
        change -> {
          if (change.outcome() == Outcome.PUBLISHED) {
            published.incrementAndGet();
          } else if (change.outcome() == Outcome.PROMOTED) {
            promoted.incrementAndGet();
          }
        });
    awaitAll(published, expected, "publish");
    calendar.advance(MONTHLY.propagationDelay()); // for all pods to see the new versions
    awaitAll(promoted, expected, "promote");
    double seconds = (System.nanoTime() - start) / 1e9;
    long under2 = 0;
    for (Pod pod : pods) {
      for (int tenant = SHREDDED + 1; tenant < tenants.size(); tenant++) {
        int which = tenant;
        under2 += await(() -> pod.encrypt(which) == 2) ? 1 : 0;
      }
    }
    long old = countOpen(Set.of(REVOKED, SHREDDED));
    long all = (long) expected * pods.size();
    require(
        promoted.get() == expected && under2 == all && old == all,
        "rotated   %,d of %,d tenants by the scheduler in %.1f s, %,d root calls of its process;"
            + " old records of %,d open",
        promoted.get(),
        expected,
        seconds,
        rootCalls(operator) - rootCalls,
        old / pods.size());
    require(
        pods.stream().allMatch(pod -> pod.rootCalls() <= tenants.size() + (long) expected),
        "root      called at most once for each key version and pod: %,d calls a pod in all",
        pods.get(0).rootCalls());
  }

  private static long rootCalls(Kms kms) {
    return kms.statistics().rootUnwraps() + kms.statistics().rootWraps();
  }

  private static void awaitAll(AtomicInteger count, int expected, String step)
      throws InterruptedException {
    try (ProgressBar bar = Terminal.ofProcess().progress(step, expected)) {
      int[] shown = {0};
      await(
          () -> {
            int now = count.get();
            bar.advance(now - shown[0]);
            shown[0] = now;
            return now >= expected;
          });
    }
  }

  private static boolean await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        return false;
      }
      Thread.sleep(LOOK_MILLIS);
    }
    return true;
  }

  private void require(boolean holds, String format, Object... arguments) {
    passed &= holds;
    say((holds ? "" : "NOT ") + format, arguments);
  }

  private void say(String format, Object... arguments) {
    out.println(String.format(Locale.ROOT, format, arguments));
  }
}
