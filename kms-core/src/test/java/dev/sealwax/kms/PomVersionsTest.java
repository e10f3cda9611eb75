package dev.sealwax.kms;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

/** Versions are stated in the POM at the root, so that modules cannot disagree. */
class PomVersionsTest {
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

  static List<String> modules() throws Exception {
    List<String> modules =
        elements(pom(ROOT), "module").map(module -> module.getTextContent().strip()).toList();
    assertTrue(modules.contains("kms-core"), modules::toString);
    return modules;
  }

  @ParameterizedTest
  @MethodSource("modules")
  void module_statesNoVersionButItsParents(String module) throws Exception {
    Document pom = pom(ROOT.resolve(module));
    List<String> stated =
        elements(pom, "version")
            .filter(version -> !version.getParentNode().getNodeName().equals("parent"))
            .map(version -> version.getTextContent().strip())
            .filter(version -> !version.matches("\\$\\{[a-z0-9.-]+}"))
            .toList();
    assertEquals(List.of(), stated);
    assertEquals(
        List.of(),
        elements(pom, "properties")
            .flatMap(properties -> children(properties.getChildNodes()))
            .map(Node::getNodeName)
            .filter(name -> name.endsWith("version"))
            .toList());
  }

  private static Document pom(Path directory) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(directory.resolve("pom.xml").toFile());
  }

  private static Stream<Element> elements(Document pom, String name) {
    return children(pom.getElementsByTagName(name)).map(Element.class::cast);
  }

  private static Stream<Node> children(NodeList nodes) {
    return IntStream.range(0, nodes.getLength()).mapToObj(nodes::item);
  }
}
