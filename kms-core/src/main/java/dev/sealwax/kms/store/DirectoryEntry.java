package dev.sealwax.kms.store;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;

/** Questions about one entry of a store's directory, asked without following a symbolic link. */
final class DirectoryEntry {
  private DirectoryEntry() {}

  /**
   * Reads the attributes of a regular file.
   *
   * @throws NoSuchFileException if there is nothing of that name
   * @throws NotRegularException if it is something else; remove it
   */
  static BasicFileAttributes requireRegular(Path file) throws IOException {
    BasicFileAttributes attributes =
        Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    if (attributes.isSymbolicLink()) {
      throw new NotRegularException(file, "is a symbolic link, which this store never follows");
    }
    if (!attributes.isRegularFile()) {
      throw new NotRegularException(file, "is not a regular file");
    }
    return attributes;
  }

  /** Like {@link #requireRegular}, but a missing file is fine too. */
  static void requireRegularOrAbsent(Path file) throws IOException {
    try {
      requireRegular(file);
    } catch (NoSuchFileException e) {
      // Absent: the other half of the question.
    }
  }

  /**
   * Identity of a file: equal for all its names while it exists; the path itself where the platform
   * knows no better.
   */
  static Object keyOf(Path path) throws IOException {
    Object key = Files.readAttributes(path, BasicFileAttributes.class).fileKey();
    return key != null ? key : path;
  }

  /**
   * Creation attributes of a file that only its owner may read and write, as far as the platform
   * can express that.
   */
  static FileAttribute<?>[] ownerOnlyFile(Path file) {
    return ownerOnly(file, "rw-------");
  }

  /** Creation attributes of a directory that only its owner may enter. */
  static FileAttribute<?>[] ownerOnlyDirectory(Path directory) {
    return ownerOnly(directory, "rwx------");
  }

  static boolean isPosix(Path path) {
    return path.getFileSystem().supportedFileAttributeViews().contains("posix");
  }

  private static FileAttribute<?>[] ownerOnly(Path path, String permissions) {
    return isPosix(path)
        ? new FileAttribute<?>[] {
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions))
        }
        : new FileAttribute<?>[0];
  }

  /** Something that is not a regular file stands in the place of one. */
  static final class NotRegularException extends FileSystemException {
    private static final long serialVersionUID = 1L;

    NotRegularException(Path file, String problem) {
      super(file.toString(), null, problem);
    }
  }
}
