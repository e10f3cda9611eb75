package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Every numbered requirement of docs/spec is cited by a test or a test vector, and nothing cites a
 * number that does not exist. A requirement is defined by its number in brackets and bold type.
 */
final class SpecificationTest {
  private static final Path REPOSITORY =
      Path.of(System.getProperty("basedir", ".")).toAbsolutePath().resolve("..").normalize();
  private static final List<Path> MODULES =
      List.of(REPOSITORY.resolve("kms-core"), REPOSITORY.resolve("kms-pkcs11"));
  private static final Pattern DEFINITION =
      Pattern.compile("\\*\\*\\[([A-Z]{2,6})-([0-9]+)]\\*\\*");

  private static final List<String> defined = new ArrayList<>();
  private static Pattern citation = Pattern.compile("");

  @BeforeAll
  static void readDefinitions() throws IOException {
    defined.clear();
    Set<String> prefixes = new TreeSet<>();
    for (Path page : files(REPOSITORY.resolve("docs/spec"), ".md")) {
      DEFINITION
          .matcher(Files.readString(page))
          .results()
          .forEach(
              match -> {
                prefixes.add(match.group(1));
                defined.add(match.group(1) + "-" + match.group(2));
              });
    }
    citation = Pattern.compile("\\b(" + String.join("|", prefixes) + ")-[0-9]+\\b");
  }

  @Test
  void definitions_areManyAndUnique() {
    assertTrue(
        defined.size() >= 40, "only " + defined.size() + " numbered requirements in docs/spec");
    assertEquals(
        List.of(),
        defined.stream().filter(id -> defined.indexOf(id) != defined.lastIndexOf(id)).toList(),
        "defined twice");
  }

  @Test
  void everyRequirement_isCitedByTestOrVector() throws IOException {
    Set<String> cited = new TreeSet<>();
    for (Path module : MODULES) {
      cited.addAll(citedIn(files(module.resolve("src/test"), ".java")));
    }
    cited.addAll(citedIn(files(REPOSITORY.resolve("testvectors"), ".json")));
    assertEquals(
        List.of(),
        defined.stream().filter(id -> !cited.contains(id)).toList(),
        "requirements that no test and no vector cites");
  }

  @Test
  void everyCitation_namesExistingRequirement() throws IOException {
    Set<String> cited = new TreeSet<>();
    for (Path module : MODULES) {
      cited.addAll(citedIn(files(module.resolve("src"), ".java")));
    }
    cited.addAll(citedIn(files(REPOSITORY.resolve("testvectors"), "")));
    cited.addAll(citedIn(files(REPOSITORY.resolve("docs"), ".md")));
    assertEquals(
        List.of(),
        cited.stream().filter(id -> !defined.contains(id)).toList(),
        "cited, but not a requirement of docs/spec");
  }

  private static Set<String> citedIn(List<Path> files) throws IOException {
    Set<String> ids = new TreeSet<>();
    for (Path file : files) {
      citation.matcher(Files.readString(file)).results().map(MatchResult::group).forEach(ids::add);
    }
    return ids;
  }

  private static List<Path> files(Path root, String ending) throws IOException {
    try (Stream<Path> paths = Files.walk(root)) {
      return paths
          .filter(path -> Files.isRegularFile(path) && path.toString().endsWith(ending))
          .collect(Collectors.toList());
    }
  }
}
