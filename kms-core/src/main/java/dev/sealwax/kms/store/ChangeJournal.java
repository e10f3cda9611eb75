package dev.sealwax.kms.store;

import dev.sealwax.kms.store.WatchableKeysetStore.Changes;
import dev.sealwax.kms.store.WatchableKeysetStore.Position;
import dev.sealwax.kms.vocabulary.KeysetId;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The file {@code .changes} of a directory: which keysets were written, in the order in which it
 * happened, for processes that keep many of them in memory.
 *
 * <p>A text of lines. The first says {@code sealwax-changes/v1 begun} or {@code continued} and a
 * token; every write adds one with a token and the keyset's name before the new document is in
 * place, and a dot when it is. Tokens are random, so that a place is recognised and a file from a
 * backup is not mistaken for this one. While a write is unfinished, be it that its writer was
 * killed, readers are told of it again and again: whoever holds the lock next has seen the end of
 * it, so the next line ends it too. Nothing is forced to the disk, because places do not outlive
 * the processes that remember them. Begun anew, as continued, at {@link #MAX_BYTES}; readers are
 * then told that the history does not reach back.
 *
 * <p>Reading is safe for any thread and process; writing belongs to the holder of the {@link
 * DirectoryLock}.
 */
final class ChangeJournal {
  static final int MAX_BYTES = 1 << 20;

  private static final String BEGUN = "sealwax-changes/v1 begun";
  private static final String CONTINUED = "sealwax-changes/v1 continued";
  private static final String FINISHED = ".";
  private static final Set<OpenOption> READ =
      Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
  private static final Set<OpenOption> APPEND =
      Set.of(
          StandardOpenOption.CREATE,
          StandardOpenOption.READ,
          StandardOpenOption.WRITE,
          LinkOption.NOFOLLOW_LINKS);
  private static final Set<OpenOption> NEW =
      Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);

  /** A line that says where a reader is: its first byte, its token, and what it names, if any. */
  private record Entry(long offset, String token, @Nullable KeysetId written) {
    Position position() {
      return new Position(offset + ":" + token);
    }
  }

  private static final Position NONE_YET = new Position("none");

  private final Path file;

  ChangeJournal(Path file) {
    this.file = file;
  }

  // --- writing ---

  /** Announces a write; if this fails, it must not happen. */
  void begin(KeysetId id) throws IOException {
    DirectoryEntry.requireRegularOrAbsent(file);
    try (FileChannel out = FileChannel.open(file, APPEND, DirectoryEntry.ownerOnlyFile(file))) {
      if (out.size() < MAX_BYTES) {
        String start = out.size() == 0 ? header(BEGUN) : endsCleanly(out) ? "" : "\n";
        append(out, start + UUID.randomUUID() + " " + id + "\n");
        return;
      }
    }
    beginAnew(id);
  }

  private void beginAnew(KeysetId id) throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + "." + UUID.randomUUID() + ".tmp");
    boolean moved = false;
    try {
      try (FileChannel out = FileChannel.open(fresh, NEW, DirectoryEntry.ownerOnlyFile(fresh))) {
        append(out, header(CONTINUED) + UUID.randomUUID() + " " + id + "\n");
      }
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      moved = true;
    } finally {
      if (!moved) {
        KeysetDirectory.deleteTemporary(fresh);
      }
    }
  }

  /** Says that the write announced last is in place. */
  void finish() throws IOException {
    try (FileChannel out = FileChannel.open(file, APPEND)) {
      append(out, FINISHED + "\n");
    }
  }

  private static String header(String kind) {
    return kind + " " + UUID.randomUUID() + "\n";
  }

  // A killed writer may have left part of a line; its write never came to anything.
  private static boolean endsCleanly(FileChannel out) throws IOException {
    ByteBuffer last = ByteBuffer.allocate(1);
    return out.read(last, out.size() - 1) == 1 && last.get(0) == '\n';
  }

  private static void append(FileChannel out, String lines) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(lines.getBytes(StandardCharsets.US_ASCII));
    out.position(out.size());
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  // --- reading ---

  /** The end of the history: behind every write that is finished. */
  Position end() throws IOException {
    Lines lines = read(0);
    return lines == null ? NONE_YET : lines.position();
  }

  Changes after(Position since) throws IOException {
    Entry asked = parse(since);
    Lines lines = asked == null ? null : read(asked.offset());
    if (asked != null
        && lines != null
        && lines.first != null
        && lines.first.token().equals(asked.token())) {
      return new Changes(lines.position(), lines.sound, lines.written);
    }
    if (since.equals(NONE_YET)) {
      lines = read(0);
      if (lines == null) {
        return new Changes(NONE_YET, true, Set.of());
      }
      if (lines.first != null && lines.first.token().startsWith(BEGUN)) {
        return new Changes(lines.position(), lines.sound, lines.written);
      }
    }
    return new Changes(end(), false, Set.of());
  }

  private static @Nullable Entry parse(Position position) {
    String value = position.value();
    int colon = value.indexOf(':');
    try {
      long offset = colon < 0 ? -1 : Long.parseLong(value.substring(0, colon));
      return offset < 0 ? null : new Entry(offset, value.substring(colon + 1), null);
    } catch (NumberFormatException e) {
      return null;
    }
  }

  private @Nullable Lines read(long offset) throws IOException {
    try {
      DirectoryEntry.requireRegular(file);
      try (SeekableByteChannel in = Files.newByteChannel(file, READ)) {
        long length = Math.min(in.size() - offset, 2L * MAX_BYTES);
        if (length <= 0) {
          return null;
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) length);
        in.position(offset);
        while (bytes.hasRemaining() && in.read(bytes) >= 0) {
          // a channel may return less than asked for
        }
        return new Lines(
            offset, new String(bytes.array(), 0, bytes.position(), StandardCharsets.US_ASCII));
      }
    } catch (NoSuchFileException e) {
      return null;
    }
  }

  /** What stands from an offset on, as far as whole lines go. */
  private static final class Lines {
    /** The line at the offset, if it is one that a place can be. */
    private @Nullable Entry first;

    /** The last line whose write is finished, and the one after it, if there is one. */
    private @Nullable Entry finished;

    private @Nullable Entry open;
    private final Set<KeysetId> written = new HashSet<>();
    private boolean sound = true;

    Lines(long offset, String text) {
      int start = 0;
      for (int end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
        add(offset + start, text.substring(start, end));
        start = end + 1;
      }
    }

    private void add(long offset, String line) {
      if (line.equals(FINISHED)) {
        finish();
        return;
      }
      Entry entry = entry(offset, line);
      if (entry == null) {
        sound = false; // cut off by a kill, or damaged: what it named is not known
        return;
      }
      finish();
      if (first == null) {
        first = entry;
        finished = entry;
      } else {
        open = entry;
        if (entry.written() != null) {
          written.add(entry.written());
        }
      }
    }

    private void finish() {
      if (open != null) {
        finished = open;
        open = null;
      }
    }

    private static @Nullable Entry entry(long offset, String line) {
      if (offset == 0 && (line.startsWith(BEGUN + " ") || line.startsWith(CONTINUED + " "))) {
        return new Entry(0, line, null);
      }
      int space = line.indexOf(' ');
      String name = line.substring(space + 1);
      return space > 0 && KeysetId.isValid(name)
          ? new Entry(offset, line.substring(0, space), KeysetId.of(name))
          : null;
    }

    Position position() {
      return finished == null ? NONE_YET : finished.position();
    }
  }
}
