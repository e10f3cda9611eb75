package dev.sealwax.kms.tink;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import dev.sealwax.kms.testkit.ModuleRules;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The rules of the house, held against the classes of this module. */
final class ArchitectureTest extends ModuleRules {
  private static final String PACKAGE = "dev.sealwax.kms.tink";

  ArchitectureTest() {
    super(PACKAGE, 4, Set.of("SealwaxAead", "TinkEnvelopes"));
  }

  /** What Tink calls a registry holds for the whole process; here keys come as arguments. */
  @Test
  void tink_isUsedWithoutItsRegistries() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .haveNameMatching("com\\.google\\.crypto\\.tink\\..*(Registry\\w*|KmsClients|AeadConfig)")
        .check(classes);
  }

  @Test
  void tinksEncodingOfKeys_isUsedByOneClass() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(PACKAGE + ".DataKeyType")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("com.google.protobuf..", "com.google.crypto.tink.proto..")
        .check(classes);
  }

  @Test
  void ciphersAndMacs_areNotUsed() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("javax.crypto..", "com.google.crypto.tink.subtle..")
        .check(classes);
  }
}
