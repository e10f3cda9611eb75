package dev.sealwax.kms.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the README shows is what the examples run and what continuous integration calls. */
final class ReadmeTest {
  private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
  private static final Pattern BLOCK =
      Pattern.compile("^```(\\w+)\\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);

  @Test
  void javaBlocks_areLinesOfOneExampleInThatOrder() throws IOException {
    List<String> blocks = blocks("java");
    List<List<String>> sources = sources();

    assertFalse(blocks.isEmpty(), "the README shows no code");
    for (String block : blocks) {
      assertTrue(
          sources.stream().anyMatch(source -> holdsInOrder(source, lines(block))),
          () -> "no example has these lines:\n" + block);
    }
  }

  /** Other lines may stand between them: an example prints what the README tells in prose. */
  private static boolean holdsInOrder(List<String> source, List<String> wanted) {
    int from = 0;
    for (String line : wanted) {
      int found = source.subList(from, source.size()).indexOf(line);
      if (found < 0) {
        return false;
      }
      from += found + 1;
    }
    return true;
  }

  @Test
  void firstJavaBlock_isTheMarkedPartOfQuickStart() throws IOException {
    String source = Files.readString(exampleSources().resolve("QuickStart.java"));
    Matcher marked =
        Pattern.compile("// README\\n(.*?)// end README", Pattern.DOTALL).matcher(source);

    assertTrue(marked.find(), "QuickStart marks nothing for the README");
    List<String> snippet = new ArrayList<>(lines(marked.group(1)));
    snippet.add("}"); // the example goes on to print before it closes the block
    assertEquals(snippet, lines(blocks("java").get(0)));
    assertTrue(blocks("java").get(0).lines().count() <= 15, "the first snippet has over 15 lines");
  }

  @Test
  void firstTwoCommands_areTheMainJobAndTheTests() throws IOException {
    List<String> commands = blocks("sh");

    assertEquals("mvn -q compile exec:java\n", commands.get(0));
    assertEquals(".ci/setup && mvn -B verify\n", commands.get(1));
    assertTrue(
        Files.readString(ROOT.resolve(".ci/run")).contains("{ " + commands.get(1).strip() + "; }"),
        ".ci/run does not run the tests as the README says");
    assertTrue(
        Files.readString(ROOT.resolve("pom.xml"))
            .contains("<exec.mainClass>" + ProtectFiles.class.getName() + "</exec.mainClass>"),
        "exec:java does not run the main job");
  }

  private static List<String> blocks(String language) throws IOException {
    List<String> blocks = new ArrayList<>();
    Matcher matcher = BLOCK.matcher(Files.readString(ROOT.resolve("README.md")));
    while (matcher.find()) {
      if (matcher.group(1).equals(language)) {
        blocks.add(matcher.group(2));
      }
    }
    return blocks;
  }

  private static Path exampleSources() {
    return ROOT.resolve("kms-examples/src/main/java/dev/sealwax/kms/examples");
  }

  private static List<List<String>> sources() throws IOException {
    List<List<String>> sources = new ArrayList<>();
    try (Stream<Path> files = Files.walk(exampleSources())) {
      for (Path file : files.filter(path -> path.toString().endsWith(".java")).toList()) {
        sources.add(lines(Files.readString(file)));
      }
    }
    return sources;
  }

  /** Without indentation, alignment of comments, and blank lines. */
  private static List<String> lines(String code) {
    return code.lines()
        .map(line -> line.strip().replaceAll("\\s+", " "))
        .filter(line -> !line.isEmpty())
        .toList();
  }
}
