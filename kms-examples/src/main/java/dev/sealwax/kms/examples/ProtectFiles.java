package dev.sealwax.kms.examples;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.envelope.EnvelopeCipher;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.KmsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * The main job: encrypts columns of a CSV and the files of a folder, rotates the keys, moves every
 * envelope to the new key version by its header alone, and proves what opens and what does not.
 * {@code --help} tells how to run it on data of your own.
 */
public final class ProtectFiles {
  private static final int DONE = 0;
  private static final int FAILED = 1;
  private static final int WRONG_INPUT = 2;

  private final Options options;
  private final Terminal terminal;

  private ProtectFiles(Options options, Terminal terminal) {
    this.options = options;
    this.terminal = terminal;
  }

  public static void main(String[] args) {
    int status = run(Terminal.ofProcess(), args);
    if (status != DONE) {
      System.exit(status);
    }
  }

  /** Runs the job and returns its exit code. */
  static int run(Terminal terminal, String... args) {
    try {
      Options options = Options.parse(args);
      if (options.help()) {
        terminal.say("%s", Options.USAGE);
        return DONE;
      }
      return new ProtectFiles(options, terminal).run();
    } catch (InputException e) {
      terminal.warn("error: %s", e.getMessage());
      return WRONG_INPUT;
    } catch (KmsException e) {
      terminal.warn("error: %s: %s", e.getClass().getSimpleName(), e.getMessage());
      return FAILED;
    } catch (IOException e) {
      terminal.warn("error: %s", Failures.describe(e));
      return FAILED;
    }
  }

  private int run() throws IOException {
    for (Path input : options.inputs()) {
      if (!Files.exists(input)) {
        throw new InputException(input + " does not exist");
      }
      if (!Files.isRegularFile(input) && !Files.isDirectory(input)) {
        throw new InputException(input + " is neither a file nor a folder");
      }
    }
    try (WorkDirectory work = WorkDirectory.open(options.workDirectory())) {
      int mended = Leftovers.cleanUp(work.sealed());
      if (mended > 0) {
        terminal.say("cleaned up after an interrupted run: %s", PartFigures.count(mended, "files"));
      }
      try (Kms kms =
          Kms.builder()
              .rootKey(work.rootKey(terminal))
              .store(FileKeysetStore.at(work.keysets()))
              .build()) {
        new FirstRun(work.path(), kms, terminal).findOrStart();
        return protect(kms, work);
      }
    }
  }

  private int protect(Kms kms, WorkDirectory work) throws IOException {
    List<Part> parts = parts(kms, work);
    terminal.say("input");
    boolean complete = true;
    for (Part part : parts) {
      complete &= part.check(terminal);
    }
    for (Part part : parts) {
      part.encrypt(terminal);
    }
    terminal.say("encrypted to %s", work.sealed());
    boolean proven = new RotationProof(kms, terminal).rotateAndRewrap(parts);
    Report.print(terminal, kms.statistics(), parts);
    if (!complete) {
      terminal.warn("NOT ALL of the input was protected; see LEFT OUT above");
    }
    return complete && proven ? DONE : FAILED;
  }

  private List<Part> parts(Kms kms, WorkDirectory work) throws IOException {
    EnvelopeCipher columns = kms.envelopeCipher(FirstRun.COLUMNS);
    List<Part> parts = new ArrayList<>();
    if (options.inputs().isEmpty()) {
      Path sample = work.path().resolve("sample");
      Path orders = SampleData.writeOrders(sample);
      Path papers = SampleData.writePapers(sample);
      Options chosen = options.withDefaultColumns(SampleData.COLUMNS);
      parts.add(CsvPart.of(columns, orders, work.sealed().resolve("orders.csv"), chosen));
      parts.add(FolderPart.of(kms, papers, work.sealed().resolve("papers"), work.sealed()));
      return parts;
    }
    if (!options.columns().isEmpty() && options.inputs().stream().noneMatch(ProtectFiles::isCsv)) {
      throw new InputException("--columns is for CSV files, and no input is called .csv or .tsv");
    }
    Set<Path> outputs = new HashSet<>();
    for (Path input : options.inputs()) {
      Path name = input.toRealPath().getFileName();
      if (name == null) {
        throw new InputException(input + " has no name to file its envelopes under");
      }
      Path output = work.sealed().resolve(name);
      if (!outputs.add(output)) {
        throw new InputException("two inputs are called " + name + "; run them one by one");
      }
      if (input.toRealPath().startsWith(work.path().toRealPath())) {
        throw new InputException(input + " is in the work directory; see --work");
      }
      parts.add(
          isCsv(input)
              ? CsvPart.of(columns, input, output, options)
              : FolderPart.of(kms, input, output, work.path()));
    }
    return parts;
  }

  private static boolean isCsv(Path input) {
    String name = input.getFileName().toString().toLowerCase(Locale.ROOT);
    return Files.isRegularFile(input) && (name.endsWith(".csv") || name.endsWith(".tsv"));
  }
}
