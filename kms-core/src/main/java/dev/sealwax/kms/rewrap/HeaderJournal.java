package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.envelope.EnvelopeInfo;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What is about to be written over the headers of some files: their old and new headers, on the
 * disk before the first of the files is touched, and gone after the last of them is on the disk.
 *
 * <p>A crash in between may leave a header half old and half new; {@link #recover} then puts the
 * old one back. A header that is neither old, nor new, nor a mixture is the application's, and is
 * left alone.
 *
 * <p>File format: {@code SWXJ}, version 1, number of entries, and for each the id, the old and the
 * new header, each after its length in two bytes; at the end the SHA-256 of all that. A file whose
 * digest does not fit was not complete when the crash came, so no header had been touched yet.
 */
final class HeaderJournal {
  static final String PREFIX = ".sealwax-rewrap";
  private static final String SUFFIX = ".journal";
  private static final int MAGIC = 0x5357584A; // "SWXJ"
  private static final int VERSION = 1;
  private static final int DIGEST_BYTES = 32;

  /**
   * One file of a journal.
   *
   * @param id of the record
   */
  private record Entry(String id, HeaderPair headers) {}

  /** The two headers of a file, of one length. */
  private static final class HeaderPair {
    private final byte[] before;
    private final byte[] after;

    HeaderPair(byte[] before, byte[] after) {
      this.before = before;
      this.after = after;
    }

    /** Whether {@code found} is a write of {@code after} over {@code before} that was cut off. */
    boolean isTorn(byte[] found) {
      if (found.length != before.length
          || Arrays.equals(found, before)
          || Arrays.equals(found, after)) {
        return false;
      }
      for (int i = 0; i < found.length; i++) {
        if (found[i] != before[i] && found[i] != after[i]) {
          return false;
        }
      }
      return true;
    }
  }

  private final Path file;

  private HeaderJournal(Path file) {
    this.file = file;
  }

  /** Writes a journal and forces it to the disk. */
  static HeaderJournal write(Path root, List<HeaderChange> changes) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.writeInt(MAGIC);
      out.writeInt(VERSION);
      out.writeInt(changes.size());
      for (HeaderChange change : changes) {
        out.writeUTF(change.record().id());
        writeHeader(out, change.oldHeader());
        writeHeader(out, change.newHeader());
      }
      out.write(sha256(bytes.toByteArray(), bytes.size()));
    }
    Path file = root.resolve(PREFIX + "." + UUID.randomUUID() + SUFFIX);
    boolean written = false;
    try {
      DurableFiles.create(file, bytes.toByteArray());
      DurableFiles.syncDirectoryOf(file);
      written = true;
    } finally {
      if (!written) {
        Files.deleteIfExists(file);
      }
    }
    return new HeaderJournal(file);
  }

  private static void writeHeader(DataOutputStream out, byte[] header) throws IOException {
    out.writeShort(header.length);
    out.write(header);
  }

  /** Ends the journal, when all its files are on the disk. */
  void delete() throws IOException {
    // Not forced: should a power failure bring it back, it finds new headers and does nothing.
    Files.deleteIfExists(file);
  }

  /** Mends what this journal is about, after a write has failed, and ends it. */
  void undo(EnvelopeDirectory directory) throws IOException {
    recover(directory, file);
  }

  /**
   * Mends what crashes have left behind. Only while no other process rewraps here.
   *
   * @return how many headers had to be put back
   */
  static int recoverAll(EnvelopeDirectory directory) throws IOException {
    List<Path> journals = new ArrayList<>();
    try (DirectoryStream<Path> found =
        Files.newDirectoryStream(directory.root(), PREFIX + ".*" + SUFFIX)) {
      found.forEach(journals::add);
    }
    int mended = 0;
    for (Path journal : journals) {
      mended += recover(directory, journal);
    }
    return mended;
  }

  private static int recover(EnvelopeDirectory directory, Path journal) throws IOException {
    int mended = 0;
    List<Entry> entries = read(journal);
    for (Entry entry : entries == null ? List.<Entry>of() : entries) {
      try {
        mended +=
            directory.mend(entry.id(), entry.headers().before, entry.headers()::isTorn) ? 1 : 0;
      } catch (NoSuchFileException e) {
        // The application has deleted it since.
      }
    }
    Files.deleteIfExists(journal);
    return mended;
  }

  /** The entries, or null if the journal is not complete. */
  private static @Nullable List<Entry> read(Path journal) throws IOException {
    if (!Files.isRegularFile(journal, LinkOption.NOFOLLOW_LINKS)) {
      throw new IOException(journal + " is not a file; find out who made it");
    }
    byte[] bytes = Files.readAllBytes(journal);
    int length = bytes.length - DIGEST_BYTES;
    if (length < 0
        || !Arrays.equals(sha256(bytes, length), Arrays.copyOfRange(bytes, length, bytes.length))) {
      return null;
    }
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes, 0, length))) {
      if (in.readInt() != MAGIC || in.readInt() != VERSION) {
        throw new IOException(journal + " was written by another version; recover with that one");
      }
      int count = in.readInt();
      List<Entry> entries = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        String id = in.readUTF();
        byte[] before = readHeader(in);
        byte[] after = readHeader(in);
        if (before.length != after.length) {
          throw new IOException(journal + " holds headers of different lengths");
        }
        entries.add(new Entry(id, new HeaderPair(before, after)));
      }
      return entries;
    }
  }

  private static byte[] readHeader(DataInputStream in) throws IOException {
    int length = in.readUnsignedShort();
    if (length > EnvelopeInfo.MAX_HEADER_BYTES) {
      throw new IOException("a journal holds a header of " + length + " bytes");
    }
    byte[] header = new byte[length];
    in.readFully(header);
    return header;
  }

  private static byte[] sha256(byte[] bytes, int length) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(bytes, 0, length);
      return digest.digest();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
