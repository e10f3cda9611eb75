package dev.sealwax.kms.examples;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The regular files under a folder, and what was left out: links and devices are none of the
 * folder's content, what cannot be read is a failure. Links are not followed.
 */
final class FolderListing {
  // What Java puts in place of bytes that are no text in the locale's encoding.
  private static final char NOT_TEXT = '\uFFFD';

  /**
   * A file.
   *
   * @param path its path in the folder, with {@code /} between the names everywhere
   */
  record Entry(Path file, String path, long bytes) {}

  private final List<Entry> entries = new ArrayList<>();
  private final List<String> skipped = new ArrayList<>();
  private final List<String> unreadable = new ArrayList<>();

  private FolderListing() {}

  /** Lists a folder but for {@code exclude}; of a file, itself. */
  static FolderListing of(Path root, Path exclude) throws IOException {
    FolderListing listing = new FolderListing();
    // A link is followed where the user names it, and nowhere else.
    Path start = root.toRealPath();
    Path excluded = exclude.toRealPath();
    Files.walkFileTree(
        start,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
            if (!directory.equals(excluded)) {
              return FileVisitResult.CONTINUE;
            }
            listing.skipped.add(directory + " (the work directory)");
            return FileVisitResult.SKIP_SUBTREE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            listing.add(start, file, attributes);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path file, IOException e) {
            listing.unreadable.add(file + ": " + Failures.describe(e));
            return FileVisitResult.CONTINUE;
          }
        });
    listing.entries.sort(Comparator.comparing(Entry::path));
    return listing;
  }

  private void add(Path root, Path file, BasicFileAttributes attributes) {
    List<String> names = new ArrayList<>();
    Path below = file.equals(root) ? file.getFileName() : root.relativize(file);
    below.forEach(name -> names.add(name.toString()));
    String path = String.join("/", names);
    if (attributes.isSymbolicLink()) {
      skipped.add(file + " (a symbolic link)");
    } else if (!attributes.isRegularFile()) {
      skipped.add(file + " (no regular file)");
    } else if (path.indexOf(NOT_TEXT) >= 0) {
      unreadable.add(file + ": its name is not text in this locale; try LC_ALL=C.UTF-8");
    } else if (!Files.isReadable(file)) {
      unreadable.add(file + ": not allowed to read it");
    } else {
      entries.add(new Entry(file, path, attributes.size()));
    }
  }

  List<Entry> entries() {
    return entries;
  }

  List<String> skipped() {
    return skipped;
  }

  List<String> unreadable() {
    return unreadable;
  }
}
