package dev.sealwax.kms.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.sealwax.kms.Kms;
import dev.sealwax.kms.rootkey.LocalRootKey;
import dev.sealwax.kms.store.FileKeysetStore;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ProtectFilesTest {
  @TempDir Path directory;

  private Captured captured = new Captured();
  private Path work;

  @BeforeEach
  void chooseWorkDirectory() {
    work = directory.resolve("work");
  }

  private int run(String... arguments) {
    captured = new Captured();
    List<String> all = new ArrayList<>(List.of("--work", work.toString()));
    all.addAll(List.of(arguments));
    return ProtectFiles.run(captured.terminal(), all.toArray(new String[0]));
  }

  private void assertDone(int status) {
    assertEquals(0, status, () -> captured.out() + captured.err());
  }

  private void assertRefused(int status, String problem) {
    assertEquals("error: " + problem + System.lineSeparator(), captured.err());
    assertEquals(2, status);
  }

  private Path csv(String content) throws IOException {
    return Files.writeString(directory.resolve("people.csv"), content);
  }

  private static List<List<String>> rows(Path file) throws IOException {
    List<List<String>> rows = new ArrayList<>();
    try (CsvRows csv = CsvRows.open(file, ',')) {
      rows.add(csv.header());
      for (CsvRows.Row row = csv.next(); row != null; row = csv.next()) {
        rows.add(row.fields());
      }
    }
    return rows;
  }

  private Kms kms() {
    return Kms.builder()
        .rootKey(
            LocalRootKey.open(work.resolve("root.key"), "a passphrase for tests".toCharArray()))
        .store(FileKeysetStore.at(work.resolve("keysets")))
        .build();
  }

  private String open(Kms kms, String sealed, String column, String row) {
    EncryptionContext context =
        EncryptionContext.of("table", "people.csv", "column", column, "row", row);
    return new String(
        kms.envelopeCipher("columns").decryptText(sealed, context), StandardCharsets.UTF_8);
  }

  @Test
  void sample_isProtectedAndTheSecondRunFindsTheKeys() {
    assertDone(run());
    assertTrue(captured.out().contains("new keys in"), captured::out);
    assertTrue(captured.out().contains("5,000 values now under version 2"), captured::out);
    assertTrue(captured.out().contains("5 files now under version 2"), captured::out);
    assertTrue(captured.out().contains("payload bytes identical"), captured::out);
    assertFalse(captured.out().contains("OPENED"), captured::out);
    assertEquals(10, captured.out().lines().filter(line -> line.contains("refused")).count());
    assertPrinted("root key calls         4 (4 wrap, 0 unwrap) for 20,023 operations");
    assertRow("messages", "5,000", "5");

    assertDone(run());
    assertTrue(captured.out().contains("keys of the first run"), captured::out);
    assertTrue(captured.out().contains("under version 1, opens; newest is 2"), captured::out);
    assertTrue(captured.out().contains("5,000 values now under version 3"), captured::out);
  }

  @Test
  void report_countsMessagesBytesAndCalls() throws IOException {
    Path people = csv("id,name,note\n1,Ada,\n2,Grace,navy\n3,Zoë,x\n");
    Path folder = Files.createDirectory(directory.resolve("docs"));
    Files.writeString(folder.resolve("a.txt"), "alpha");
    Files.write(folder.resolve("b.bin"), new byte[40_000]);

    assertDone(run(people.toString(), folder.toString()));

    long sealedChars = 0;
    List<List<String>> rows = rows(work.resolve("sealed/people.csv"));
    for (List<String> row : rows.subList(1, rows.size())) {
      sealedChars += row.get(1).length() + row.get(2).length();
    }
    Path sealed = work.resolve("sealed/docs");
    assertRow("messages", "6", "2");
    assertRow("plaintext", "17 B", "40.0 kB");
    assertRow(
        "sealed",
        PartFigures.bytes(sealedChars),
        PartFigures.bytes(
            Files.size(sealed.resolve("a.txt.swx")) + Files.size(sealed.resolve("b.bin.swx"))));
    String speed = "[1-9][0-9,]*/s, [0-9.]+ [kMGT]?B/s";
    assertRowMatches("encrypt, with I/O", speed, speed);
    assertRowMatches("open, with I/O", speed, speed);
    assertRowMatches("rewrap, with I/O", "[1-9][0-9,]*/s", "[1-9][0-9,]*/s");
    // Each of the eight is encrypted, opened twice and rewrapped; two are opened before the
    // attacks, and the first run seals a message to know its keys by.
    assertPrinted("root key calls         4 (4 wrap, 0 unwrap) for 35 operations");
    // Nine messages under two data keys.
    assertMatches("cache hit rate         77\\.77 % encrypting, [0-9]{1,3}\\.[0-9]{2} % opening");
    assertPrinted("  opened   all envelopes of the older version, content as encrypted");
    assertPrinted("  opened   values again; payload bytes identical");
    assertPrinted("  opened   files again; payload bytes identical");
  }

  private void assertRow(String label, String values, String files) {
    assertRowMatches(label, Pattern.quote(values), Pattern.quote(files));
  }

  private void assertRowMatches(String label, String values, String files) {
    assertMatches(Pattern.quote(label) + " {2,}" + values + " {2,}" + files);
  }

  private void assertPrinted(String line) {
    assertMatches(Pattern.quote(line));
  }

  /** Exactly one line is so. */
  private void assertMatches(String line) {
    assertEquals(
        1,
        captured.out().lines().filter(Pattern.compile(line).asMatchPredicate()).count(),
        () -> "a line like " + line + " in\n" + captured.out());
  }

  @Test
  void csv_withQuotesNewlinesEmptyFieldsAndMark_opensToTheSameValues() throws IOException {
    Path input =
        csv("\uFEFFid,name,note\r\n1,\"O'Brien, \"\"Bob\"\"\",\"two\r\nlines\"\r\n\r\n2,,Zoë\r\n");
    byte[] before = Files.readAllBytes(input);

    assertDone(run(input.toString()));

    List<List<String>> sealed = rows(work.resolve("sealed/people.csv"));
    assertEquals(List.of("id", "name", "note"), sealed.get(0));
    assertEquals("1", sealed.get(1).get(0));
    try (Kms kms = kms()) {
      assertEquals("O'Brien, \"Bob\"", open(kms, sealed.get(1).get(1), "name", "1"));
      assertEquals("two\r\nlines", open(kms, sealed.get(1).get(2), "note", "1"));
      assertEquals("", open(kms, sealed.get(2).get(1), "name", "2"));
      assertEquals("Zoë", open(kms, sealed.get(2).get(2), "note", "2"));
    }
    assertArrayEquals(before, Files.readAllBytes(input), "the input was modified");
  }

  @Test
  void csv_withChosenColumnsAndKey_leavesTheOthersReadable() throws IOException {
    Path input = csv("name;city;id\nAda;Cork;7\n");

    assertDone(run("--delimiter", ";", "--columns", "name", "--key", "id", input.toString()));

    String sealed = Files.readString(work.resolve("sealed/people.csv"));
    assertTrue(sealed.startsWith("name;city;id\nswx1."), sealed);
    assertTrue(sealed.endsWith(";Cork;7\n"), sealed);
  }

  @Test
  void csv_withRowNumbers_needsNoKey() throws IOException {
    Path input = csv("name\nAda\nAda\n");

    assertDone(run("--row-numbers", input.toString()));

    List<List<String>> sealed = rows(work.resolve("sealed/people.csv"));
    try (Kms kms = kms()) {
      assertEquals("Ada", open(kms, sealed.get(2).get(0), "name", "2"));
    }
  }

  @Test
  void csv_withHeaderOnly_isDone() throws IOException {
    assertDone(run(csv("id,name\n").toString()));

    assertEquals("id,name\n", Files.readString(work.resolve("sealed/people.csv")));
  }

  @Test
  void badCsv_isRefusedByLine() throws IOException {
    Path input = csv("id,name,name\n1,a,b\n");
    assertRefused(run(input.toString()), input + " names two columns name");
    csv("id,name\n1,a\n2\n");
    assertRefused(run(input.toString()), input + " line 3 has 1 field, the header has 2");
    csv("id,name\n1,\"a\nb\"\n1,c\n");
    assertRefused(
        run(input.toString()),
        input + " line 4 has the key of an earlier row; see --key and --row-numbers");
    csv("id,name\n,a\n");
    assertRefused(
        run(input.toString()),
        input + " line 2 has nothing in the key column; see --key and --row-numbers");
    csv("id,name\n1,\"a\n");
    assertRefused(
        run(input.toString()), input + " line 2 is not CSV: a quote is missing or left open");
    csv("");
    assertRefused(run(input.toString()), input + " is empty; its first line must name the columns");
    Files.write(input, "id,name\n1,Zo\u00eb\n".getBytes(StandardCharsets.ISO_8859_1));
    assertEquals(2, run(input.toString()));
    assertTrue(captured.err().contains("not UTF-8"), captured::err);
    assertFalse(Files.exists(work.resolve("sealed/people.csv")));
  }

  @Test
  void wrongArguments_areRefusedWithAReason() throws IOException {
    Path input = csv("id,name\n1,a\n");
    assertRefused(
        run("--columns", "nmae", input.toString()),
        "people.csv has no column nmae; it has id, name");
    assertRefused(
        run("--columns", "id", input.toString()),
        "column id names the rows, so it stays readable; see --key");
    assertRefused(run("--colums", "a"), "unknown option --colums; --help lists them");
    assertRefused(run("--columns"), "--columns needs a value");
    Path missing = directory.resolve("missing");
    assertRefused(run(missing.toString()), missing + " does not exist");
    assertRefused(run("/dev/null"), "/dev/null is neither a file nor a folder");
    assertRefused(
        run("--columns", "a", Files.createDirectory(directory.resolve("folder")).toString()),
        "--columns is for CSV files, and no input is called .csv or .tsv");
    csv("id;name\n1;a\n");
    assertRefused(
        run(input.toString()), "people.csv has one column only; see --delimiter and --row-numbers");
    assertDone(run("--help"));
    assertTrue(captured.out().contains("usage: ProtectFiles"), captured::out);
  }

  @Test
  void folder_withLinksSubfoldersAndEmptyFile_keepsTheTree() throws IOException {
    Path folder =
        Files.createDirectories(directory.resolve("docs/deep/er")).getParent().getParent();
    Files.writeString(folder.resolve("deep/er/a.txt"), "alpha");
    Files.createFile(folder.resolve("empty"));
    Files.createSymbolicLink(folder.resolve("link"), folder.resolve("empty"));

    assertDone(run(folder.toString()));

    assertTrue(captured.err().contains("skipped " + folder.toRealPath().resolve("link")));
    try (Kms kms = kms();
        InputStream in = Files.newInputStream(work.resolve("sealed/docs/deep/er/a.txt.swx"))) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      EncryptionContext context = EncryptionContext.of("folder", "docs", "path", "deep/er/a.txt");
      kms.envelopeCipher("files").decrypt(in, out, context);
      assertEquals("alpha", out.toString(StandardCharsets.UTF_8));
    }
    try (Stream<Path> files = Files.walk(work.resolve("sealed"))) {
      assertEquals(2, files.filter(file -> file.toString().endsWith(".swx")).count());
    }
  }

  @Test
  void runThatWasKilled_isCleanedUpAfter() throws IOException {
    Path folder = Files.createDirectory(directory.resolve("docs"));
    Files.writeString(folder.resolve("a.txt"), "alpha");
    assertDone(run(folder.toString()));
    Path half = Files.writeString(work.resolve("sealed/docs/.1.unfinished"), "half a file");

    assertDone(run(folder.toString()));

    assertFalse(Files.exists(half));
    assertTrue(captured.out().contains("interrupted run: 1 file"), captured.out());
  }

  @Test
  void emptyFolder_isDone() throws IOException {
    assertDone(run(Files.createDirectory(directory.resolve("nothing")).toString()));
    assertTrue(captured.out().contains("0 files, 0 B"), captured::out);
  }

  @Test
  void folder_aroundTheWorkDirectory_leavesItOut() throws IOException {
    Files.writeString(directory.resolve("a.txt"), "alpha");

    assertDone(run(directory.toString()));
    assertDone(run(directory.toString()));

    assertTrue(captured.out().contains(": 1 file, 5 B"), captured::out);
  }

  @Test
  void wrongPassphrase_isRefusedAndSaysWhatToDo() throws IOException {
    Path input = csv("id,name\n1,a\n");
    assertDone(run(input.toString()));

    Captured other = new Captured();
    Terminal terminal = new Terminal(other.out, other.err, null, "another passphrase");
    int status = ProtectFiles.run(terminal, "--work", work.toString(), input.toString());

    assertEquals(2, status);
    assertTrue(other.err().contains(work.resolve("root.key") + " does not open: "), other::err);
    assertTrue(
        other.err().contains("give that of the run that made it (by SEALWAX_PASSPHRASE"),
        other::err);
  }

  @Test
  void shortPassphrase_isRefused() {
    Captured other = new Captured();
    int status =
        ProtectFiles.run(
            new Terminal(other.out, other.err, null, "short"), "--work", work.toString());

    assertEquals(2, status);
    assertTrue(other.err().contains("passphrase"), other::err);
    assertFalse(Files.exists(work.resolve("root.key")));
  }

  @Test
  void noPassphrase_warnsLoudly() throws IOException {
    Captured other = new Captured();
    Terminal terminal = new Terminal(other.out, other.err, null, null);
    int status =
        ProtectFiles.run(terminal, "--work", work.toString(), csv("id,name\n1,a\n").toString());

    assertEquals(0, status, other::err);
    assertTrue(other.err().startsWith("WARNING: the root key has the passphrase of the demo"));
  }
}
