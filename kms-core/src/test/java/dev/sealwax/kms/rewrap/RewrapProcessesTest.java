package dev.sealwax.kms.rewrap;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.envelope.EnvelopeInfo;
import dev.sealwax.kms.keyset.KeysetTemplate;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Jobs that are killed ({@code kill -9}) again and again, at random moments, while an application
 * goes on writing. {@code -Dsealwax.rewrapKills=200} is the full measure, for each kind of source.
 */
class RewrapProcessesTest {
  private static final int KILLS = Integer.getInteger("sealwax.rewrapKills", 5);
  private static final int RECORDS = 600;
  private static final String KEYSET = "orders";
  private static final String REENCRYPT = "reencrypt";

  @TempDir Path home;

  /** Where the records are, as the application sees it. */
  private interface Place {
    void write(String id, byte[] envelope) throws Exception;

    Map<String, byte[]> readAll() throws Exception;
  }

  @ParameterizedTest
  @ValueSource(strings = {"rewrap", REENCRYPT})
  void table_killedAtAnyMoment_losesNothing(String work) throws Exception {
    DataSource database = RewrapDatabase.postgres();
    // One connection writes and one reads, as a pool would do it: opening one takes a process.
    try (Connection writing = database.getConnection();
        Connection reading = database.getConnection()) {
      try (Statement statement = writing.createStatement()) {
        statement.execute("create table orders (id varchar primary key, card bytea)");
      }
      Table table = new Table(writing, reading);
      killAgainAndAgain(table, "table", RewrapDatabase.lastPostgresUrl(), work);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"rewrap", REENCRYPT})
  void files_killedAtAnyMoment_loseNothing(String work) throws Exception {
    Path directory = Files.createDirectory(home.resolve("files"));
    killAgainAndAgain(new Folder(directory), "files", directory.toString(), work);
    // What the last kill left is gone after the next opening, and nothing else is there.
    DirectoryEnvelopeSource.of(directory).close();
    try (var files = Files.newDirectoryStream(directory, ".*.tmp")) {
      assertFalse(files.iterator().hasNext());
    }
  }

  private record Table(Connection writing, Connection reading) implements Place {
    @Override
    public void write(String id, byte[] envelope) throws SQLException {
      try (PreparedStatement write =
          writing.prepareStatement(
              "insert into orders values (?, ?) on conflict (id) do update set card ="
                  + " excluded.card")) {
        write.setString(1, id);
        write.setBytes(2, envelope);
        write.executeUpdate();
      }
    }

    @Override
    public Map<String, byte[]> readAll() throws SQLException {
      Map<String, byte[]> all = new TreeMap<>();
      try (Statement statement = reading.createStatement();
          ResultSet rows = statement.executeQuery("select id, card from orders")) {
        while (rows.next()) {
          all.put(rows.getString(1), rows.getBytes(2));
        }
      }
      return all;
    }
  }

  private record Folder(Path directory) implements Place {
    @Override
    public void write(String id, byte[] envelope) throws IOException {
      Path file = directory.resolve(id);
      Path unfinished = Files.write(directory.resolve("unfinished"), envelope);
      if (!Files.exists(file)) {
        Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
        return;
      }
      // As the source demands of those who write while it re-encrypts.
      try (FileChannel old = FileChannel.open(file, StandardOpenOption.WRITE);
          FileLock lock = old.lock()) {
        assertTrue(lock.isValid());
        Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
      }
    }

    @Override
    public Map<String, byte[]> readAll() throws IOException {
      Map<String, byte[]> all = new TreeMap<>();
      try (var files = Files.newDirectoryStream(directory, "*.swx")) {
        for (Path file : files) {
          all.put(file.getFileName().toString(), Files.readAllBytes(file));
        }
      }
      return all;
    }
  }

  /** The application: one thread that writes all the time, and knows what it has written. */
  private static final class Application implements Runnable {
    private final EnvelopeCipher cipher;
    private final Place place;
    final Map<String, String> expected = new TreeMap<>();
    // Held while it writes, so that a look at the data sees no write half known.
    final ReentrantLock quiet = new ReentrantLock(true);
    volatile boolean stopped;
    volatile Throwable failure;
    volatile long writes;

    Application(EnvelopeCipher cipher, Place place) {
      this.cipher = cipher;
      this.place = place;
    }

    void write(String id, String message) throws Exception {
      place.write(
          id,
          cipher.encrypt(message.getBytes(StandardCharsets.UTF_8), EncryptionContext.of("id", id)));
      expected.put(id, message);
    }

    @Override
    public void run() {
      SplittableRandom random = new SplittableRandom(42);
      try {
        for (long count = 0; !stopped; count++) {
          quiet.lock();
          try {
            // Even ones only: the others must keep their payload to the byte.
            write(id(2 * random.nextInt(RECORDS / 2)), "write " + count);
            writes = count + 1;
          } finally {
            quiet.unlock();
          }
        }
      } catch (Throwable e) { // an assertion too
        failure = e;
      }
    }
  }

  private static String id(int number) {
    return String.format("%05d.swx", number);
  }

  /** A new primary; in a job that re-encrypts the old one is compromised. */
  private static int next(Kms kms, String work) {
    int target = kms.keysets().rotate(KEYSET).primary();
    if (work.equals(REENCRYPT)) {
      kms.keysets().compromise(KEYSET, target - 1);
    }
    return target;
  }

  private void killAgainAndAgain(Place place, String kind, String where, String work)
      throws Exception {
    SplittableRandom random = new SplittableRandom();
    try (Kms kms = RewrapChild.kms(home)) {
      kms.keysets().create(KEYSET, KeysetTemplate.defaults());
      Application application = new Application(kms.envelopeCipher(KEYSET), place);
      for (int i = 0; i < RECORDS; i++) {
        application.write(id(i), "first " + i);
      }
      Map<String, byte[]> before = place.readAll();
      int target = next(kms, work);
      Thread writer = new Thread(application);
      writer.start();
      int kills = 0;
      int finished = 0;
      int inTheMiddle = 0;
      long longest = TimeUnit.MILLISECONDS.toNanos(600);
      try {
        // On a busy machine the first kills may all come too early: more of them, and later ones.
        while (kills < KILLS || (inTheMiddle == 0 && kills < 10 * KILLS)) {
          Process child = RewrapChild.start(home.toString(), kind, where, work);
          try (BufferedReader out = child.inputReader()) {
            String line = out.readLine();
            assertEquals(RewrapChild.STARTS, line, () -> out.lines().toList().toString());
            long started = System.nanoTime();
            boolean ended = child.waitFor(random.nextLong(longest), TimeUnit.NANOSECONDS);
            if (!ended) {
              child.destroyForcibly();
            }
            int status = child.waitFor();
            if (status == 0) {
              longest = System.nanoTime() - started;
            }
            application.quiet.lock();
            try {
              assertTrue(
                  status == 0 || status == 128 + 9, () -> status + ": " + out.lines().toList());
              assertNull(application.failure);
              boolean middle =
                  look(
                      place.readAll(),
                      application,
                      before,
                      target,
                      status == 0,
                      work.equals(REENCRYPT));
              if (status != 0) {
                kills++;
                inTheMiddle += middle ? 1 : 0;
                longest += middle ? 0 : longest / 4;
              }
              // A job may be killed when all is done; a new one would only look at it again.
              if (status == 0 || isComplete(target)) {
                finished++;
                target = next(kms, work);
              }
            } finally {
              application.quiet.unlock();
            }
          }
        }
      } finally {
        application.stopped = true;
        writer.join();
      }
      assertNull(application.failure);
      assertTrue(application.writes > 0, "the application has written nothing meanwhile");
      String summary =
          String.format(
              "%s, %s: %d kills, %d of them between first and last record, %d complete jobs, %d"
                  + " records looked at after each",
              work, kind, kills, inTheMiddle, finished, RECORDS);
      System.out.println(summary);
      // Else they came before the first batch, and have shown nothing.
      assertTrue(inTheMiddle > 0, summary);
    }
  }

  private boolean isComplete(int target) throws IOException {
    RewrapState state = state();
    return state != null && state.isComplete() && state.targets().get(0).primary() == target;
  }

  private @Nullable RewrapState state() throws IOException {
    Path checkpoint = home.resolve("checkpoint");
    return Files.exists(checkpoint) ? RewrapStateText.read(Files.readString(checkpoint)) : null;
  }

  /**
   * What must hold at any moment.
   *
   * @return whether some records of this job are moved and others are not
   */
  private boolean look(
      Map<String, byte[]> records,
      Application application,
      Map<String, byte[]> before,
      int target,
      boolean complete,
      boolean reencrypts)
      throws IOException {
    assertEquals(application.expected.keySet(), records.keySet());
    RewrapState state = state();
    boolean ofThisJob = state != null && state.targets().get(0).primary() == target;
    String position = ofThisJob && !state.isComplete() ? state.position() : "";
    int ahead = 0;
    int moved = 0;
    int untouchedOnes = 0;
    for (Map.Entry<String, byte[]> record : records.entrySet()) {
      String id = record.getKey();
      byte[] now = record.getValue();
      // Readable, and what the application wrote last.
      EncryptionContext context = EncryptionContext.of("id", id);
      byte[] readable = reencrypts ? application.cipher.reencrypt(now, context) : now;
      assertEquals(
          application.expected.get(id),
          new String(application.cipher.decrypt(readable, context), StandardCharsets.UTF_8));
      boolean untouched = Integer.parseInt(id.substring(0, 5)) % 2 == 1;
      if (!untouched) {
        continue;
      }
      EnvelopeInfo info = EnvelopeInfo.inspect(now);
      untouchedOnes++;
      moved += info.keyVersion() == target ? 1 : 0;
      byte[] old = before.get(id);
      if (reencrypts) {
        boolean first = info.keyVersion() == 1;
        assertEquals(first, Arrays.equals(old, now));
        assertEquals(first, info.dataKeyId().equals(EnvelopeInfo.inspect(old).dataKeyId()));
      } else {
        assertArrayEquals(
            Arrays.copyOfRange(old, info.headerLengthBytes(), old.length),
            Arrays.copyOfRange(now, info.headerLengthBytes(), now.length));
      }
      boolean done = complete || (ofThisJob && id.compareTo(position) <= 0);
      if (done || (ofThisJob && state.isComplete())) {
        assertEquals(target, info.keyVersion(), () -> id + " is behind the checkpoint");
      } else if (info.keyVersion() == target) {
        ahead++;
      }
    }
    // Half of the records are untouched, so that half a batch of them is a batch.
    int most = RewrapChild.BATCH / 2;
    int found = ahead;
    assertTrue(found <= most, () -> found + " records are ahead of the checkpoint");
    return moved > 0 && moved < untouchedOnes;
  }
}
