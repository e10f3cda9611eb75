package dev.sealwax.kms.process;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** What keeps a process from writing to a directory, even if it is root's. */
public enum WriteProtection {
  /** Root is held to them as well once it has no right to override them. */
  PERMISSION_BITS {
    @Override
    public List<String> prefix(Path directory) throws IOException {
      return isRoot()
          ? List.of("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
          : List.of();
    }

    @Override
    public void apply(Path directory) throws IOException {
      Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("r-x------"));
    }

    @Override
    public void lift(Path directory) throws IOException {
      Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    }
  },
  /** Seen by that process alone. */
  READ_ONLY_MOUNT {
    @Override
    public List<String> prefix(Path directory) throws IOException {
      return List.of(
          "unshare",
          isRoot() ? "-m" : "-rm",
          "sh",
          "-c",
          "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"",
          directory.toString());
    }

    @Override
    public void apply(Path directory) {}

    @Override
    public void lift(Path directory) {}
  };

  /** The start of a command that runs the rest of it under this protection. */
  public abstract List<String> prefix(Path directory) throws IOException;

  /** Does to the directory what the prefix alone does not. */
  public abstract void apply(Path directory) throws IOException;

  /** Undoes {@link #apply}. */
  public abstract void lift(Path directory) throws IOException;

  /**
   * All, or, on a machine that lets nobody mount anything, the first alone, and says so.
   *
   * @throws AssertionError in a build of CI on such a machine, which would prove less than it says
   */
  public static Stream<WriteProtection> available() throws IOException, InterruptedException {
    Path probe = Files.createTempDirectory("mount");
    try {
      for (WriteProtection protection : values()) {
        List<String> command = new ArrayList<>(protection.prefix(probe));
        command.add("true");
        if (!succeeds(command)) {
          if (protection == PERMISSION_BITS || "true".equals(System.getenv("CI"))) {
            throw new AssertionError(
                "this machine does not allow what these tests need: " + String.join(" ", command));
          }
          System.out.println("not tested, for nobody may mount here: " + protection);
          return Stream.of(PERMISSION_BITS);
        }
      }
      return Stream.of(values());
    } finally {
      Files.delete(probe);
    }
  }

  private static boolean succeeds(List<String> command) throws InterruptedException {
    try {
      return new ProcessBuilder(command).start().waitFor() == 0;
    } catch (IOException e) {
      throw new AssertionError(
          "install util-linux; these tests need its setpriv, unshare and mount", e);
    }
  }

  private static boolean isRoot() throws IOException {
    return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
  }
}
