package dev.sealwax.kms.rootkey;

import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.ACCESS_DENIED;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.INTERNAL;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.NOT_FOUND;
import static dev.sealwax.kms.vocabulary.RootKeyException.Reason.UNSUPPORTED;
import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import dev.sealwax.kms.vocabulary.RootKeyException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.ReadOnlyFileSystemException;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.security.SecureRandom;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.Set;

/**
 * Small files that nobody but their owner may read, written so that a crash leaves the old or the
 * new content and never a part (local-root-key-v1 §5). Stateless; safe for any thread and between
 * processes.
 */
final class OwnerOnlyFile {
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int TEMP_NAME_BYTES = 8;

  private static final Set<PosixFilePermission> OWNER_READ_WRITE =
      EnumSet.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE);
  private static final Set<PosixFilePermission> OWNER_ONLY =
      EnumSet.of(
          PosixFilePermission.OWNER_READ,
          PosixFilePermission.OWNER_WRITE,
          PosixFilePermission.OWNER_EXECUTE);

  private interface Publication {
    void publish(Path temp) throws IOException;
  }

  private OwnerOnlyFile() {}

  /**
   * Reads at most {@code limit} + 1 bytes, so that the caller sees when there are too many. Follows
   * symbolic links, which is how Kubernetes mounts secrets, and judges what they lead to.
   *
   * @throws RootKeyException if there is no such file, or others may access it
   */
  static byte[] read(Path file, int limit) {
    requirePosix(file);
    try {
      Path real = file.toRealPath();
      attributes(real);
      try (InputStream in = Files.newInputStream(real, NOFOLLOW_LINKS)) {
        return in.readNBytes(limit + 1);
      }
    } catch (IOException | UnsupportedOperationException e) {
      throw failure("cannot read", file, e);
    }
  }

  /**
   * Creates {@code file}; nothing else ever sees it without its full content.
   *
   * @throws RootKeyException with {@code UNSUPPORTED} if the file exists; it is left alone
   */
  static void create(Path file, byte[] content) {
    requirePosix(file);
    Path target = file.toAbsolutePath();
    try {
      // A rename would replace a file that appeared meanwhile; a hard link refuses to.
      write(
          target,
          content,
          OWNER_READ_WRITE,
          temp -> {
            Files.createLink(target, temp);
            Files.delete(temp);
          });
    } catch (IOException | UnsupportedOperationException e) {
      throw writeFailure("cannot create", file, e);
    }
  }

  /**
   * Replaces the content of {@code file}, keeping its mode.
   *
   * @throws RootKeyException with {@code ACCESS_DENIED} if the process runs as another user than
   *     the file's owner, who would be locked out of the new file
   */
  static void replace(Path file, byte[] content) {
    requirePosix(file);
    try {
      Path real = file.toRealPath();
      replace(real, content, attributes(real));
    } catch (IOException | UnsupportedOperationException e) {
      throw writeFailure("cannot replace", file, e);
    }
  }

  /** The rest of {@link #replace(Path, byte[])}; {@code old} is what the file has. */
  static void replace(Path real, byte[] content, PosixFileAttributes old) throws IOException {
    write(
        real,
        content,
        old.permissions(),
        temp -> {
          requireSameOwner(real, old.owner(), Files.getOwner(temp, NOFOLLOW_LINKS));
          Files.move(temp, real, StandardCopyOption.ATOMIC_MOVE);
        });
  }

  private static void write(
      Path target, byte[] content, Set<PosixFilePermission> mode, Publication publication)
      throws IOException {
    Path directory = target.getParent();
    if (directory == null) {
      throw new NoSuchFileException(target.toString(), null, "is no path of a file");
    }
    byte[] unique = new byte[TEMP_NAME_BYTES];
    RANDOM.nextBytes(unique);
    Path temp = directory.resolve(".sealwax-" + HexFormat.of().formatHex(unique) + ".tmp");
    try {
      try (FileChannel out =
          FileChannel.open(
              temp,
              Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
              PosixFilePermissions.asFileAttribute(mode))) {
        // FAT and some network mounts take the mode and ignore it; find out before the secret goes
        // in.
        requireOwnerOnly(temp, Files.getPosixFilePermissions(temp, NOFOLLOW_LINKS));
        ByteBuffer remaining = ByteBuffer.wrap(content);
        while (remaining.hasRemaining()) {
          out.write(remaining);
        }
        out.force(true);
      }
      publication.publish(temp);
    } catch (IOException | RuntimeException e) {
      deleteAfter(e, temp);
      throw e;
    }
    // Without this a power cut may undo the new name although its content is safe.
    try (FileChannel entries = FileChannel.open(directory, StandardOpenOption.READ)) {
      entries.force(true);
    }
  }

  private static void deleteAfter(Exception failure, Path temp) {
    try {
      Files.deleteIfExists(temp);
    } catch (IOException | RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  private static void requirePosix(Path file) {
    if (!file.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      throw new RootKeyException(
          UNSUPPORTED,
          "file system of "
              + file
              + " has no POSIX permissions, so the file cannot be kept from other users; use a file"
              + " system that has them or another root key provider");
    }
  }

  private static PosixFileAttributes attributes(Path real) throws IOException {
    PosixFileAttributes attributes =
        Files.readAttributes(real, PosixFileAttributes.class, NOFOLLOW_LINKS);
    // Opening a pipe would block for ever, so this comes first.
    if (!attributes.isRegularFile()) {
      throw new RootKeyException(NOT_FOUND, real + " is not a regular file");
    }
    requireOwnerOnly(real, attributes.permissions());
    return attributes;
  }

  private static void requireOwnerOnly(Path file, Set<PosixFilePermission> mode) {
    if (!OWNER_ONLY.containsAll(mode)) {
      throw new RootKeyException(
          ACCESS_DENIED,
          "others may access "
              + file
              + " ("
              + PosixFilePermissions.toString(mode)
              + "); find out who did, then run: chmod 600 "
              + file);
    }
  }

  /** Refuses to hand a file from {@code owner} to {@code writer}. */
  private static void requireSameOwner(Path file, UserPrincipal owner, UserPrincipal writer) {
    if (!owner.equals(writer)) {
      throw new RootKeyException(
          ACCESS_DENIED,
          file
              + " belongs to "
              + owner.getName()
              + " and would then belong to "
              + writer.getName()
              + "; run this as "
              + owner.getName());
    }
  }

  /** Translates what the file system says; the one table of this provider. */
  static RootKeyException failure(String doing, Path file, Exception cause) {
    if (cause instanceof FileAlreadyExistsException) {
      return new RootKeyException(
          UNSUPPORTED,
          file + " exists and is never overwritten; open it, or choose another path",
          cause);
    }
    Path directory = file.toAbsolutePath().getParent();
    if (cause instanceof NoSuchFileException && directory != null && Files.notExists(directory)) {
      return new RootKeyException(
          NOT_FOUND,
          doing + " " + file + ": there is no directory " + directory + "; make it first",
          cause);
    }
    if (cause instanceof NoSuchFileException) {
      return new RootKeyException(
          NOT_FOUND, doing + " " + file + ": no such file or directory; create it first", cause);
    }
    if (cause instanceof AccessDeniedException || cause instanceof ReadOnlyFileSystemException) {
      return denied(doing, file, cause);
    }
    if (cause instanceof UnsupportedOperationException) {
      return new RootKeyException(
          UNSUPPORTED, doing + " " + file + ": its file system lacks hard links or modes", cause);
    }
    return new RootKeyException(INTERNAL, doing + " " + file + ": " + cause.getMessage(), cause);
  }

  /** Of a write: the JDK has no exception for a mount that is read-only, and overlooks some. */
  private static RootKeyException writeFailure(String doing, Path file, Exception cause) {
    RootKeyException failure = failure(doing, file, cause);
    return failure.reason() == INTERNAL && isInReadOnlyDirectory(file)
        ? denied(doing, file, cause)
        : failure;
  }

  private static boolean isInReadOnlyDirectory(Path file) {
    try {
      // A link may lead elsewhere, and it is its target that is replaced.
      Path target = Files.exists(file) ? file.toRealPath() : file.toAbsolutePath();
      Path directory = target.getParent();
      return directory != null && Files.isDirectory(directory) && !Files.isWritable(directory);
    } catch (IOException e) {
      return false;
    }
  }

  private static RootKeyException denied(String doing, Path file, Exception cause) {
    return new RootKeyException(
        ACCESS_DENIED, doing + " " + file + ": permission denied or read-only file system", cause);
  }
}
