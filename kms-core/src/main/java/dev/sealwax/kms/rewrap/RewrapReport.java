package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.keyset.Keyset;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * What a job has found and done; there is one only for a scan that came to its end. Covers the time
 * before a resume as well, except for {@link #failures}. After a kill, records of the batch that
 * was under way count as there already, not as moved. Immutable.
 */
public final class RewrapReport {
  private final RewrapJob job;
  private final List<String> sources;
  private final Instant startedAt;
  private final Instant finishedAt;
  private final boolean resumed;
  private final RewrapCounts counts;
  private final List<VersionCount> versions;
  private final List<RewrapFailure> failures;
  private final List<Keyset> keysets;
  private final List<MoveTarget> targets;
  private final Duration settlingTime;

  RewrapReport(
      RewrapJob job,
      List<String> sources,
      Instant startedAt,
      Instant finishedAt,
      boolean resumed,
      RewrapCounts counts,
      List<VersionCount> versions,
      List<RewrapFailure> failures,
      List<Keyset> keysets,
      List<MoveTarget> targets,
      Duration settlingTime) {
    this.job = job;
    this.sources = List.copyOf(sources);
    this.startedAt = startedAt;
    this.finishedAt = finishedAt;
    this.resumed = resumed;
    this.counts = counts;
    this.versions = List.copyOf(versions);
    this.failures = List.copyOf(failures);
    this.keysets = List.copyOf(keysets);
    this.targets = List.copyOf(targets);
    this.settlingTime = settlingTime;
  }

  public RewrapJob job() {
    return job;
  }

  /** The identities of the sources, in the order of the scan. */
  public List<String> sources() {
    return sources;
  }

  /** When the scan began, before a resume if there was one; whole seconds. */
  public Instant startedAt() {
    return startedAt;
  }

  /** When it came to its end. */
  public Instant finishedAt() {
    return finishedAt;
  }

  /** Whether it went on from a checkpoint. */
  public boolean wasResumed() {
    return resumed;
  }

  public RewrapCounts counts() {
    return counts;
  }

  /** The versions that records were met or left under, by keyset and version ascending. */
  public List<VersionCount> versions() {
    return versions;
  }

  /** The records that are under a version now; of those that failed, what their headers claim. */
  public long left(KeysetId keyset, int version) {
    return row(Objects.requireNonNull(keyset, "keyset"), version).left();
  }

  /** The first thousand failures of this run; the listener was told of all. */
  public List<RewrapFailure> failures() {
    return failures;
  }

  /**
   * Whether nothing in the sources needs a version any more. Says yes only if
   *
   * <ul>
   *   <li>the version exists and is not the primary,
   *   <li>no record failed, for whatever reason,
   *   <li>this scan met no record under it, not even one that it moved: what appears behind a scan
   *       is found by the next,
   *   <li>this scan began when every process must have heard of the present primary: an earlier
   *       scan with the same checkpoint saw it, the keyset has not changed since, and the settling
   *       time has passed in between.
   * </ul>
   *
   * So it takes two scans: one that moves, and a later one that finds nothing to move.
   *
   * @throws IllegalArgumentException if the job was not about that keyset
   */
  public DestructionVerdict mayDestroy(String keyset, int version) {
    KeysetId id = KeysetId.of(keyset);
    Keyset now =
        keysets.stream()
            .filter(each -> each.id().equals(id))
            .findFirst()
            .orElseThrow(
                () -> new IllegalArgumentException("the job was not about keyset " + keyset));
    MoveTarget target =
        targets.stream().filter(each -> each.keyset().equals(id)).findFirst().orElseThrow();
    Instant settled = target.since().plus(settlingTime);
    VersionCount row = row(id, version);
    Set<Obstacle> obstacles = EnumSet.noneOf(Obstacle.class);
    obstacles.addAll(now.version(version).isEmpty() ? Set.of(Obstacle.NO_SUCH_VERSION) : Set.of());
    obstacles.addAll(now.primary() == version ? Set.of(Obstacle.IS_PRIMARY) : Set.of());
    obstacles.addAll(counts.failed() > 0 ? Set.of(Obstacle.RECORDS_FAILED) : Set.of());
    obstacles.addAll(row.left() > 0 ? Set.of(Obstacle.RECORDS_LEFT) : Set.of());
    obstacles.addAll(row.found() > 0 ? Set.of(Obstacle.MET_BY_THIS_SCAN) : Set.of());
    obstacles.addAll(startedAt.isBefore(settled) ? Set.of(Obstacle.WRITERS_MAY_REMAIN) : Set.of());
    return new DestructionVerdict(id, version, obstacles, settled);
  }

  private VersionCount row(KeysetId keyset, int version) {
    return versions.stream()
        .filter(row -> row.keyset().equals(keyset) && row.version() == version)
        .findFirst()
        .orElse(new VersionCount(keyset, version, 0, 0));
  }

  /** Some lines for an operator: counts, versions, and what may be destroyed. Names no record. */
  public String describe() {
    StringBuilder out = new StringBuilder();
    out.append(
        String.format(
            "%s of %s, %s to %s%s%n",
            job, String.join(", ", sources), startedAt, finishedAt, resumed ? ", resumed" : ""));
    out.append(
        String.format(
            "scanned %,d: %s %,d, re-encrypted %,d, already there %,d, without value %,d, other"
                + " keyset %,d, gone %,d, failed %,d%s%n",
            counts.scanned(),
            job == RewrapJob.MOVE ? "moved" : "to move",
            counts.moved(),
            counts.reencrypted(),
            counts.alreadyThere(),
            counts.withoutValue(),
            counts.otherKeyset(),
            counts.gone(),
            counts.failed(),
            counts.failures().isEmpty() ? "" : " " + counts.failures()));
    for (Keyset keyset : keysets) {
      keyset
          .versions()
          .forEach(version -> out.append(describe(keyset, version.number())).append('\n'));
    }
    return out.toString();
  }

  private String describe(Keyset keyset, int version) {
    VersionCount row = row(keyset.id(), version);
    DestructionVerdict verdict = mayDestroy(keyset.id().value(), version);
    return String.format(
        "%s version %d: met %,d, left %,d; %s",
        keyset.id(),
        version,
        row.found(),
        row.left(),
        verdict.isSafe()
            ? "not needed by these sources"
            : "keep it: "
                + verdict.obstacles()
                + (verdict.obstacles().contains(Obstacle.WRITERS_MAY_REMAIN)
                        && version != keyset.primary()
                    ? ", scan again after " + verdict.scanAgainAfter()
                    : ""));
  }

  @Override
  public String toString() {
    return "RewrapReport[" + job + ", " + counts + "]";
  }
}
