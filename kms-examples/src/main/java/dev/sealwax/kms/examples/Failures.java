package dev.sealwax.kms.examples;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/** What went wrong with a file, in words: Java's own messages are often the bare path. */
final class Failures {
  private Failures() {}

  static String describe(IOException e) {
    if (!(e instanceof FileSystemException failure)) {
      return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    }
    String file = String.valueOf(failure.getFile());
    if (e instanceof NoSuchFileException) {
      return file + " does not exist";
    }
    if (e instanceof AccessDeniedException) {
      return "not allowed to read or write " + file;
    }
    if (e instanceof NotDirectoryException) {
      return file + " is no directory";
    }
    String reason = failure.getReason();
    return file + ": " + (reason == null ? e.getClass().getSimpleName() : reason);
  }
}
