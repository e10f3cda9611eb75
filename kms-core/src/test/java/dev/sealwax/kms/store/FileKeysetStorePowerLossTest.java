package dev.sealwax.kms.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.process.TracedChild;
import dev.sealwax.kms.process.TracedChild.Call;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a power failure may leave of create, rotate and destroy, by a model of a disk that owes its
 * users nothing but what POSIX promises of {@code fsync}.
 *
 * <p>The calls are those a real run made; the model loses, at every point between two of them, any
 * part of the unsynced data and any selection of the unsynced directory changes.
 */
final class FileKeysetStorePowerLossTest {
  private static final int SCHEDULES = 10_000;
  private static final Pattern QUOTED = Pattern.compile("\"([^\"]*)\"");

  @TempDir Path scratch;
  private Path directory;
  private List<Call> calls;

  @BeforeEach
  void recordRun() throws Exception {
    directory = scratch.resolve("keysets");
    try (TracedChild child = TracedChild.start(scratch, KeysetStoreChild.scripts(scratch, 5_000))) {
      TracedChild.Script script = child.run(directory, null);
      assertTrue(script.finished(), () -> "recording failed: " + script.output());
      calls = script.calls();
    }
  }

  @Test
  void powerLoss_atAnyPoint_leavesOldOrNewDocument() {
    assertEquals(List.of(), losses(calls));
  }

  @Test
  void powerLoss_ifFilesWereNotSynced_isFoundByTheModel() {
    assertTrue(losses(without(path -> path.endsWith(".tmp"))).contains("torn document"));
  }

  @Test
  void powerLoss_ifTheDirectoryWasNotSynced_isFoundByTheModel() {
    assertTrue(losses(without(directory.toString()::equals)).contains("acknowledged write lost"));
  }

  @Test
  void powerLoss_ifTheParentWasNotSynced_isFoundByTheModel() {
    assertTrue(losses(without(scratch.toString()::equals)).contains("acknowledged write lost"));
  }

  /** The recorded calls without the syncs of some paths. */
  private List<Call> without(Predicate<String> path) {
    List<Call> kept = new ArrayList<>();
    Disk disk = new Disk();
    for (Call call : calls) {
      disk.apply(call);
      String synced = call.name().equals("fsync") ? disk.openPaths.get(call.arguments()) : null;
      if (synced == null || !path.test(synced)) {
        kept.add(call);
      }
    }
    assertTrue(kept.size() < calls.size(), "no such sync in the recording");
    return kept;
  }

  private List<String> losses(List<Call> recorded) {
    Random random = new Random(20_261_124);
    List<String> found = new ArrayList<>();
    for (int schedule = 0; schedule < SCHEDULES; schedule++) {
      Disk disk = new Disk();
      recorded.subList(0, schedule % (recorded.size() + 1)).forEach(disk::apply);
      String loss = disk.lossAfterPowerFailure(random);
      if (loss != null && !found.contains(loss)) {
        found.add(loss);
      }
    }
    return found;
  }

  private static final class Inode {
    private long written;
    private long synced;
  }

  private record Rename(String from, String to, Inode inode) {}

  private final class Disk {
    private final Map<String, String> openPaths = new HashMap<>();
    private final Map<String, Inode> cachedNames = new HashMap<>();
    private final List<Inode> documents = new ArrayList<>(); // by revision - 1
    private final List<Rename> unsynced = new ArrayList<>();
    private @Nullable Inode durable; // what the keyset's name means on the platters
    private boolean directoryDurable;
    private int acknowledged;

    void apply(Call call) {
      List<String> quoted =
          QUOTED.matcher(call.arguments()).results().map((MatchResult r) -> r.group(1)).toList();
      switch (call.name()) {
        case "openat" -> {
          openPaths.put(call.result(), quoted.get(0));
          if (call.arguments().contains("O_CREAT")) {
            cachedNames.putIfAbsent(quoted.get(0), new Inode());
          }
        }
        case "write", "pwrite64" -> {
          String descriptor = call.arguments().substring(0, call.arguments().indexOf(','));
          if (descriptor.equals("1")) {
            acknowledged++;
          } else {
            cachedNames.get(openPaths.get(descriptor)).written += Long.parseLong(call.result());
          }
        }
        case "fsync", "fdatasync" -> sync(openPaths.get(call.arguments()));
        case "rename", "renameat", "renameat2" -> {
          Inode inode = cachedNames.remove(quoted.get(0));
          cachedNames.put(quoted.get(1), inode);
          documents.add(inode);
          unsynced.add(new Rename(quoted.get(0), quoted.get(1), inode));
        }
        case "mkdir", "mkdirat", "close", "fcntl" -> {}
        default -> throw new AssertionError("the model does not know " + call);
      }
    }

    private void sync(String path) {
      if (path.equals(directory.toString())) {
        unsynced.forEach(rename -> durable = rename.inode);
        unsynced.clear();
      } else if (path.equals(scratch.toString())) {
        directoryDurable = true;
      } else {
        Inode inode = cachedNames.get(path);
        inode.synced = inode.written;
      }
    }

    @Nullable String lossAfterPowerFailure(Random random) {
      Inode left = durable;
      for (Rename rename : unsynced) {
        if (random.nextBoolean()) {
          left = rename.inode;
        }
      }
      if (!directoryDurable && random.nextBoolean()) {
        left = null;
      }
      if (left == null) {
        return acknowledged == 0 ? null : "acknowledged write lost";
      }
      long survived = left.synced + (long) (random.nextDouble() * (left.written - left.synced));
      if (survived < left.written) {
        return "torn document";
      }
      int revision = documents.indexOf(left) + 1;
      return revision == acknowledged || revision == acknowledged + 1
          ? null
          : "acknowledged write lost";
    }
  }
}
