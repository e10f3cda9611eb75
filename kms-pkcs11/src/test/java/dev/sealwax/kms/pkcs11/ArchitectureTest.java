package dev.sealwax.kms.pkcs11;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaAccess.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import dev.sealwax.kms.testkit.ModuleRules;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The rules of the house, held against the classes of this module. */
final class ArchitectureTest extends ModuleRules {
  private static final String PACKAGE = "dev.sealwax.kms.pkcs11";

  ArchitectureTest() {
    super(
        PACKAGE,
        40,
        Set.of(
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
            "WrapMechanism"));
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
        .check(classes);
  }

  /**
   * By their constructors, that is: made anywhere else they would have the class loader and thread
   * locals of a request.
   */
  @Test
  void threads_areMadeByOneClass() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(PACKAGE + ".ModuleThreads")
        .should()
        .callConstructorWhere(target(owner(assignableTo(Thread.class))))
        .check(classes);
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
        .check(classes);
  }
}
