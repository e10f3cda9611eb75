package dev.sealwax.kms.aws;

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
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The rules of the house, held against the classes of this module. */
final class ArchitectureTest {
  private static final String PACKAGE = "dev.sealwax.kms.aws";
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(PACKAGE);

  @Test
  void classes_areThere() {
    assertTrue(CLASSES.size() >= 9, () -> "analysed only " + CLASSES.size());
  }

  @Test
  void publicTypes_areTheListedOnes() {
    assertEquals(
        new TreeSet<>(List.of("AwsClients", "AwsKmsRootKey", "DynamoDbKeysetStore")),
        CLASSES.stream()
            .filter(c -> c.getModifiers().contains(JavaModifier.PUBLIC))
            // What an interface encloses is public, and as visible as the interface.
            .filter(
                c ->
                    c.getEnclosingClass()
                        .map(e -> e.getModifiers().contains(JavaModifier.PUBLIC))
                        .orElse(true))
            .map(JavaClass::getSimpleName)
            .collect(toCollection(TreeSet::new)));
  }

  @Test
  void concreteClasses_areFinal() {
    classes()
        .that()
        .areNotInterfaces()
        .and()
        .areNotEnums()
        .and()
        .areNotAnonymousClasses()
        .and(describe("are not package-info", c -> !c.getSimpleName().equals("package-info")))
        .should()
        .haveModifier(JavaModifier.FINAL)
        .check(CLASSES);
  }

  @Test
  void httpClient_isUsedByOneClass() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(PACKAGE + ".AwsClients")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("software.amazon.awssdk.http..")
        .check(CLASSES);
  }

  /** An application with keys in KMS and keysets elsewhere goes without that part of the SDK. */
  @Test
  void dynamoDb_isUsedByItsStore() {
    Set<String> allowed =
        Set.of("AwsClients", "DynamoDbKeysetStore", "DynamoDbErrors", "KeysetItems", "KeysetTable");
    noClasses()
        .that(
            describe(
                "are not " + allowed,
                c ->
                    allowed.stream()
                        .noneMatch(name -> c.getName().startsWith(PACKAGE + "." + name))))
        .should()
        .dependOnClassesThat()
        .resideInAPackage("software.amazon.awssdk.services.dynamodb..")
        .check(CLASSES);
  }

  @Test
  void ciphersAndMacs_areNotUsed() {
    noClasses().should().dependOnClassesThat().resideInAPackage("javax.crypto..").check(CLASSES);
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
        .and()
        .areDeclaredInClassesThat()
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
