package dev.sealwax.kms.aws;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import dev.sealwax.kms.testkit.ModuleRules;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The rules of the house, held against the classes of this module. */
final class ArchitectureTest extends ModuleRules {
  private static final String PACKAGE = "dev.sealwax.kms.aws";

  ArchitectureTest() {
    super(PACKAGE, 9, Set.of("AwsClients", "AwsKmsRootKey", "DynamoDbKeysetStore"));
  }

  @Test
  void httpClient_isUsedByOneClass() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(PACKAGE + ".AwsClients")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("software.amazon.awssdk.http..")
        .check(classes);
  }

  /** An application with keys in KMS and keysets elsewhere goes without that part of the SDK. */
  @Test
  void dynamoDb_isUsedByItsStore() {
    Set<String> allowed =
        Set.of(
            "AwsClients",
            "DynamoDbKeysetStore",
            "DynamoDbErrors",
            "KeysetItems",
            "KeysetTable",
            "OrderedWrites");
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
        .check(classes);
  }

  @Test
  void ciphersAndMacs_areNotUsed() {
    noClasses().should().dependOnClassesThat().resideInAPackage("javax.crypto..").check(classes);
  }
}
