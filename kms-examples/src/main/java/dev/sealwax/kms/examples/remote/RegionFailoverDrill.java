package dev.sealwax.kms.examples.remote;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.examples.InputException;
import dev.sealwax.kms.examples.NumberOptions;
import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.rootkey.QuorumRootKey;
import dev.sealwax.kms.rootkey.ResilientRootKey;
import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.rootkey.RootKeyId;
import dev.sealwax.kms.rootkey.RoutingRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.GuardHealth;
import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * A region of the cloud is lost for a while, and nobody notices: keysets move from a root key in a
 * file to a quorum of keys of AWS KMS, one in each region; then one region hangs, under traffic,
 * and comes back. {@code --help} lists what it can be told.
 */
public final class RegionFailoverDrill {
  static final String USAGE =
      """
      usage: RegionFailoverDrill [--seconds N] [ARN ARN...]

        --seconds N   of traffic in each phase (default 3)
        ARN           symmetric keys of AWS KMS, each in another region; two to eight

      Without keys it starts moto, an emulator of AWS, as two regions. With keys it calls AWS, about
      a hundred times, with the credentials that the SDK finds; the outage is then made in this
      process. That has been tried with an emulator only.
      Exit code: 0 all opened; 1 something did not; 2 wrong arguments, or no emulator.\
      """;

  private static final List<String> EMULATED = List.of("eu-central-1", "eu-west-1");
  private static final List<String> KEYSETS = List.of("orders", "customers", "invoices", "letters");
  private static final List<String> NEW_KEYSETS =
      List.of("new-1", "new-2", "new-3", "new-4", "new-5");
  private static final Duration REPAIR_TIME = Duration.ofMinutes(1);
  private static final int LOOK_MILLIS = 50;

  /** What one process has as its root key. */
  private record Opened(QuorumRootKey rootKey, List<ResilientRootKey> members) {}

  private final Path directory;
  private final List<KeyRegion> regions;
  private final Duration time;
  private final PrintStream out;
  private final Traffic traffic = new Traffic();
  private List<Long> callsBefore;
  private long failures;

  private RegionFailoverDrill(
      Path directory, List<KeyRegion> regions, Duration time, PrintStream out) {
    this.directory = directory;
    this.regions = regions;
    this.time = time;
    this.out = out;
    this.callsBefore = calls();
  }

  public static void main(String[] args) {
    RemoteExample.main(USAGE, args, RegionFailoverDrill::run);
  }

  static boolean run(Path directory, List<String> arguments, PrintStream out)
      throws IOException, InterruptedException {
    int seconds = 3;
    List<String> keys = arguments;
    if (!arguments.isEmpty() && arguments.get(0).startsWith("-")) {
      seconds = seconds(arguments);
      keys = arguments.subList(2, arguments.size());
    }
    List<KeyRegion> regions = new ArrayList<>();
    try {
      if (keys.isEmpty()) {
        out.printf(
            "regions    two processes of moto: an EMULATOR, NOT AWS. It protects nothing.%n");
        for (String name : EMULATED) {
          regions.add(KeyRegion.emulated(name));
        }
      } else {
        keys.forEach(key -> regions.add(KeyRegion.of(key)));
        requireApart(regions);
        out.printf("regions    AWS; the outage is made in this process%n");
      }
      return new RegionFailoverDrill(directory, regions, Duration.ofSeconds(seconds), out).run();
    } finally {
      for (KeyRegion region : regions) {
        region.close();
      }
    }
  }

  private static int seconds(List<String> arguments) {
    if (!arguments.get(0).equals("--seconds")) {
      throw new InputException("unknown option " + arguments.get(0));
    }
    if (arguments.size() < 2) {
      throw new InputException("--seconds needs a value");
    }
    return NumberOptions.whole("--seconds", arguments.get(1), 1, 3600);
  }

  private static void requireApart(List<KeyRegion> regions) {
    Set<String> names = regions.stream().map(KeyRegion::name).collect(Collectors.toSet());
    if (regions.size() < 2 || regions.size() > QuorumRootKey.MAX_MEMBERS) {
      throw new InputException("keys must be two to eight, got " + regions.size());
    }
    if (names.size() < regions.size()) {
      throw new InputException("each key must be in another region, got " + names);
    }
  }

  private boolean run() throws IOException, InterruptedException {
    KeyRegion lost = regions.get(0); // the one that is asked first
    out.printf(
        "quorum     %s; %d must wrap, any one unwraps%n%n",
        regions.stream().map(KeyRegion::name).collect(Collectors.joining(", ")), required());
    heading();
    startLocally();
    moveToQuorum();
    Opened process = open();
    try (Kms kms = kms(process.rootKey)) {
      row("all regions up", traffic.run(kms, time));
      lost.suspend();
      try {
        row("one hangs: keys in memory", traffic.run(kms, time));
        openElsewhere();
        createMeanwhile(kms);
        showHealth(process);
        row("one hangs: keys in memory", traffic.run(kms, time));
      } finally {
        lost.resume();
      }
      repair(kms, lost);
      row("all regions up again", traffic.run(kms, time));
    }
    for (KeyRegion region : regions) {
      try (Kms kms = kms(region.open())) {
        row(region.name() + " alone", traffic.run(kms, Duration.ZERO));
      }
    }
    out.printf(
        "%n%s%n",
        failures == 0
            ? "PASSED: every operation succeeded, and each region alone opens everything"
            : "FAILED: " + failures + " operations");
    return failures == 0;
  }

  // --- the phases ---

  private void startLocally() throws InterruptedException {
    try (Kms kms =
        kms(LocalRootKey.create(directory.resolve("root.key"), RemoteExample.sealingKey()))) {
      for (String keyset : KEYSETS) {
        kms.keysets().create(keyset, KeysetTemplate.defaults());
        traffic.keep(kms, keyset);
        kms.keysets().rotate(keyset);
        traffic.keep(kms, keyset);
      }
      row("root key in a file", traffic.run(kms, time));
    }
  }

  /** Wraps the key versions anew. Processes that have both root keys go on meanwhile. */
  private void moveToQuorum() throws InterruptedException {
    QuorumRootKey next = open().rootKey;
    RootKey old = LocalRootKey.open(directory.resolve("root.key"), RemoteExample.sealingKey());
    Traffic.Result moves = new Traffic.Result();
    try (Kms kms = kms(RoutingRootKey.of(next, old))) {
      for (String keyset : KEYSETS) {
        moves.time(() -> kms.keysets().moveToRootKey(keyset, next));
      }
      row("moved to the quorum", moves);
      out.printf(
          "  key versions were wrapped anew, %d envelopes are as they were%n", traffic.size());
    }
    // A region that was slow just now is asked again, before another one is lost.
    try (Kms kms = kms(open().rootKey)) {
      awaitRepair(kms);
    }
  }

  private void openElsewhere() throws InterruptedException {
    try (Kms cold = kms(open().rootKey)) {
      Traffic.Result result = traffic.run(cold, time);
      row("one hangs: a new process", result);
      note("its first message, a key unwrapped by another region, took %,.0f ms", result);
    }
  }

  /** The first wait for the region that is lost, until its circuit opens. */
  private void createMeanwhile(Kms kms) {
    Traffic.Result created = new Traffic.Result();
    for (String keyset : NEW_KEYSETS) {
      created.time(() -> kms.keysets().create(keyset, KeysetTemplate.defaults()));
    }
    row("one hangs: keysets created", created);
    if (created.failures == 0) {
      NEW_KEYSETS.forEach(keyset -> traffic.keep(kms, keyset));
      out.printf("  recorded as missing: %s%n", missing(kms, NEW_KEYSETS));
    }
  }

  private void showHealth(Opened process) {
    List<QuorumRootKey.MemberHealth> asked = process.rootKey.health();
    for (int i = 0; i < regions.size(); i++) {
      GuardHealth<RootKeyException.Reason> guard = process.members.get(i).health();
      out.printf(
          "  %-14s circuit %s, %s, %d of %d attempts failed%s%n",
          regions.get(i).name(),
          guard.circuit(),
          asked.get(i).isSuspect() ? "asked last" : "asked in turn",
          guard.failures(),
          guard.attempts(),
          guard.lastFailure().map(reason -> ", lately " + reason).orElse(""));
    }
  }

  private void repair(Kms kms, KeyRegion back) {
    Traffic.Result repaired = new Traffic.Result();
    repaired.time(() -> awaitRepair(kms));
    row("it returns: wraps repaired", repaired);
    note("by the scheduler, %,.0f ms after " + back.name() + " was back", repaired);
    Set<String> missing = missing(kms, names(kms));
    if (!missing.isEmpty()) {
      failures++;
      out.printf("  still missing: %s%n", missing);
    }
  }

  /** Leaves it to the scheduler, which asks again at each look. */
  private void awaitRepair(Kms kms) {
    kms.startScheduler(Duration.ofSeconds(1), change -> {});
    long end = System.nanoTime() + REPAIR_TIME.toNanos();
    try {
      while (!missing(kms, names(kms)).isEmpty() && System.nanoTime() < end) {
        Thread.sleep(LOOK_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static List<String> names(Kms kms) {
    return kms.keysets().list().map(id -> id.value()).toList();
  }

  /** The regions that should hold these keysets and do not. */
  private Set<String> missing(Kms kms, List<String> keysets) {
    Set<RootKeyId> ids = new HashSet<>();
    for (String name : keysets) {
      Keyset keyset = kms.keysets().get(name);
      keyset.versions().forEach(version -> ids.addAll(version.missingRootKeyIds()));
    }
    Set<String> names = new TreeSet<>();
    for (KeyRegion region : regions) {
      if (ids.stream().anyMatch(region::isKey)) {
        names.add(region.name());
      }
    }
    return names;
  }

  // --- the parts ---

  /** One region may be lost. */
  private int required() {
    return regions.size() - 1;
  }

  private Opened open() {
    QuorumRootKey.Builder builder = QuorumRootKey.builder().required(required());
    List<ResilientRootKey> members = new ArrayList<>();
    for (KeyRegion region : regions) {
      ResilientRootKey member = region.open();
      members.add(member);
      builder.member(member);
    }
    return new Opened(builder.build(), members);
  }

  private Kms kms(RootKey rootKey) {
    return Kms.builder()
        .rootKey(rootKey)
        .store(FileKeysetStore.at(directory.resolve("keysets")))
        .build();
  }

  private List<Long> calls() {
    return regions.stream().map(KeyRegion::calls).toList();
  }

  private void heading() {
    StringBuilder names = new StringBuilder();
    regions.forEach(region -> names.append(format("%20s", "calls " + region.name())));
    out.printf(
        "%-28s %10s %8s %10s %10s%s%n",
        "phase", "operations", "failures", "p50 us", "p99 us", names);
  }

  private void row(String phase, Traffic.Result result) {
    List<Long> now = calls();
    StringBuilder calls = new StringBuilder();
    for (int i = 0; i < now.size(); i++) {
      calls.append(format("%,20d", now.get(i) - callsBefore.get(i)));
    }
    callsBefore = now;
    failures += result.failures;
    out.println(
        format(
            "%-28s %,10d %,8d %,10.0f %,10.0f%s",
            phase,
            result.samples.size(),
            result.failures,
            result.samples.micros(0.50),
            result.samples.micros(0.99),
            calls));
    if (result.failures > 0) {
      out.printf("  %s%n", result.firstFailure());
    }
  }

  private void note(String format, Traffic.Result result) {
    out.println("  " + format(format, result.firstMillis()));
  }

  private static String format(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }
}
