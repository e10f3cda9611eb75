package dev.sealwax.kms.pkcs11;

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
  private static final String PACKAGE = "dev.sealwax.kms.pkcs11";
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(PACKAGE);

  @Test
  void classes_areThere() {
    assertTrue(CLASSES.size() >= 40, () -> "analysed only " + CLASSES.size());
  }

  @Test
  void publicTypes_areTheListedOnes() {
    assertEquals(
        new TreeSet<>(
            List.of(
                "CircuitState",
                "Concession",
                "KeyProtection",
                "Kind",
                "PinSource",
                "PinState",
                "Pkcs11Config",
                "Pkcs11Health",
                "Pkcs11KeyInfo",
                "Pkcs11RootKey",
                "Pkcs11Token",
                "RootKeySpec",
                "WrapMechanism")),
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
  void jna_isUsedByTheBindingOnly() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(PACKAGE + ".NativeCryptoki")
        .and()
        .doNotHaveFullyQualifiedName(PACKAGE + ".NativeArena")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("com.sun.jna..")
        .check(CLASSES);
  }

  @Test
  void ciphersAndMacs_areUsedByTwoClasses() {
    Set<String> allowed = Set.of("SeedCipher", "OaepProtection");
    noClasses()
        .that(describe("are not " + allowed, c -> !allowed.contains(c.getSimpleName())))
        .should()
        .dependOnClassesThat(
            describe(
                "are JCE ciphers or MACs",
                c ->
                    c.getName().equals("javax.crypto.Cipher")
                        || c.getName().equals("javax.crypto.Mac")))
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
