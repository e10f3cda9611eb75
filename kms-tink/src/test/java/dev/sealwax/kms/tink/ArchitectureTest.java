package dev.sealwax.kms.tink;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static java.util.stream.Collectors.toCollection;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The rules of the house, held against the classes of this module. */
final class ArchitectureTest {
  private static final String PACKAGE = "dev.sealwax.kms.tink";
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(PACKAGE);

  @Test
  void classes_areThere() {
    assertTrue(CLASSES.size() >= 4, () -> "analysed only " + CLASSES.size());
  }

  @Test
  void publicTypes_areTheListedOnes() {
    assertEquals(
        new TreeSet<>(List.of("SealwaxAead", "TinkEnvelopes")),
        CLASSES.stream()
            .filter(c -> c.getModifiers().contains(JavaModifier.PUBLIC))
            .map(JavaClass::getSimpleName)
            .collect(toCollection(TreeSet::new)));
  }

  @Test
  void concreteClasses_areFinal() {
    classes()
        .that()
        .areNotInterfaces()
        .and()
        .areNotAnonymousClasses()
        .and(describe("are not package-info", c -> !c.getSimpleName().equals("package-info")))
        .should()
        .haveModifier(JavaModifier.FINAL)
        .check(CLASSES);
  }

  /** What Tink calls a registry holds for the whole process; here keys come as arguments. */
  @Test
  void tink_isUsedWithoutItsRegistries() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .haveNameMatching("com\\.google\\.crypto\\.tink\\..*(Registry\\w*|KmsClients|AeadConfig)")
        .check(CLASSES);
  }

  @Test
  void tinksEncodingOfKeys_isUsedByOneClass() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(PACKAGE + ".DataKeyType")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("com.google.protobuf..", "com.google.crypto.tink.proto..")
        .check(CLASSES);
  }

  @Test
  void ciphersAndMacs_areNotUsed() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("javax.crypto..", "com.google.crypto.tink.subtle..")
        .check(CLASSES);
  }

  @Test
  void core_isUsedThroughWhatItExports() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "dev.sealwax.kms.crypto..", "dev.sealwax.kms.cache..", "dev.sealwax.kms.events..")
        .check(CLASSES);
  }

  @Test
  void publicMethods_takeNoBoolean() {
    methods()
        .that()
        .arePublic()
        .should()
        .notHaveRawParameterTypes(
            describe(
                "a boolean",
                types -> types.stream().anyMatch(t -> t.isEquivalentTo(boolean.class))))
        .check(CLASSES);
  }

  @Test
  void standardStreamsAndProviderRegistration_areNotUsed() {
    NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
    noClasses()
        .should()
        .callMethod(java.security.Security.class, "addProvider", java.security.Provider.class)
        .check(CLASSES);
  }
}
