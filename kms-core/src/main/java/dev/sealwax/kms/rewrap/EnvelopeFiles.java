package dev.sealwax.kms.rewrap;

import dev.sealwax.kms.rewrap.EnvelopeDirectory.Found;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The regular files below a directory in the order of their paths, name by name, and in the place
 * of a directory that may not be listed, that directory. Holds the names of the directories on the
 * way to the present file in memory. Symbolic links are not followed. For one thread.
 */
final class EnvelopeFiles {
  /** A directory that is being walked through, and which of its names come next. */
  private record Level(Path directory, List<String> names, int next) {}

  private final Path root;
  private final Predicate<Path> wanted;
  private final Deque<Level> levels = new ArrayDeque<>();
  private @Nullable Path unlisted; // the directory that comes next

  private EnvelopeFiles(Path root, Predicate<Path> wanted) {
    this.root = root;
    this.wanted = wanted;
  }

  /**
   * Starts behind a path.
   *
   * @param after the names on the way to a file that may be gone, or null for the first
   */
  static EnvelopeFiles after(Path root, Predicate<Path> wanted, @Nullable List<String> after)
      throws IOException {
    EnvelopeFiles files = new EnvelopeFiles(root, wanted);
    files.enter(root, after == null ? null : after.get(0));
    for (int i = 1; after != null && i < after.size(); i++) {
      // Only as deep as the path still exists; behind that everything comes later anyway.
      Level level = files.levels.getLast();
      String parent = after.get(i - 1);
      Path directory = level.directory().resolve(parent);
      if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
        break;
      }
      files.enter(directory, after.get(i));
    }
    return files;
  }

  /** Lists a directory from behind a name on. */
  private void enter(Path directory, @Nullable String after) throws IOException {
    List<String> names = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        String name = String.valueOf(entry.getFileName());
        if ((after == null || name.compareTo(after) > 0) && !isOurs(name)) {
          names.add(name);
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    } catch (FileSystemException e) {
      if (levels.isEmpty()) {
        throw e; // the root itself: not an empty place, but none
      }
      if (e instanceof AccessDeniedException) {
        unlisted = directory;
      } else if (EnvelopeDirectory.found(root, directory) == Found.DIRECTORY) {
        throw e;
      }
    }
    names.sort(null);
    levels.addLast(new Level(directory, names, 0));
  }

  static boolean isOurs(String name) {
    return name.startsWith(HeaderJournal.PREFIX);
  }

  /** The next file, or null at the end. */
  @Nullable Path next() throws IOException {
    while (!levels.isEmpty()) {
      if (unlisted != null) {
        Path directory = unlisted;
        unlisted = null;
        return directory;
      }
      Level level = levels.removeLast();
      if (level.next() == level.names().size()) {
        continue;
      }
      levels.addLast(new Level(level.directory(), level.names(), level.next() + 1));
      Path entry = level.directory().resolve(level.names().get(level.next()));
      BasicFileAttributes attributes;
      try {
        attributes =
            Files.readAttributes(entry, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      } catch (AccessDeniedException e) {
        return entry; // whatever it is
      } catch (FileSystemException e) {
        if (EnvelopeDirectory.found(root, entry) == Found.OTHER) {
          continue; // gone since it was listed, alone or with what held it
        }
        throw e;
      }
      if (attributes.isDirectory()) {
        enter(entry, null);
      } else if (attributes.isRegularFile() && wanted.test(root.relativize(entry))) {
        return entry;
      }
    }
    return null;
  }
}
