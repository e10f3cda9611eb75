package dev.sealwax.kms;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaAccess.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static dev.sealwax.kms.testkit.ModuleRules.lookUpClasses;
import static dev.sealwax.kms.testkit.ModuleRules.registersASecurityProvider;
import static java.util.stream.Collectors.toCollection;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.JavaType;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import dev.sealwax.kms.vocabulary.EncryptionContext;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

/**
 * The rules of {@code docs/design.md} about packages and types, held against the compiled classes.
 */
class ArchitectureTest {
  private static final String BASE = "dev.sealwax.kms";

  /** The way of the data; a package may use those after it and none before it. */
  private static final List<String> PACKAGES =
      List.of(
          BASE,
          BASE + ".rewrap",
          BASE + ".envelope",
          BASE + ".keyset",
          BASE + ".store",
          BASE + ".rootkey",
          BASE + ".guard",
          BASE + ".cache",
          BASE + ".events",
          BASE + ".crypto",
          BASE + ".vocabulary");

  /** Free to change; for our packages only. */
  private static final List<String> HIDDEN_PACKAGES =
      List.of(BASE + ".guard", BASE + ".cache", BASE + ".events", BASE + ".crypto");

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(BASE);

  private static Stream<JavaClass> ownClasses() {
    return CLASSES.stream().filter(c -> !c.getSimpleName().endsWith("-info"));
  }

  @Test
  void classes_areThere() {
    assertTrue(ownClasses().count() >= 300, () -> "analysed only " + ownClasses().toList());
  }

  @Test
  void packages_areTheListedOnes() {
    assertEquals(new TreeSet<>(PACKAGES), packagesOf(CLASSES.stream()));
  }

  @Test
  void packages_dependOnLaterOnesOnly() {
    for (int i = 1; i < PACKAGES.size(); i++) {
      noClasses()
          .that()
          .resideInAPackage(PACKAGES.get(i))
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(PACKAGES.subList(0, i).toArray(String[]::new))
          .allowEmptyShould(false)
          .check(CLASSES);
    }
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching(BASE + ".(*)").should().beFreeOfCycles().check(CLASSES);
  }

  @Test
  void packages_areNullMarked() throws ReflectiveOperationException {
    for (String name : PACKAGES) {
      Class<?> info = Class.forName(name + ".package-info");
      assertTrue(info.isAnnotationPresent(NullMarked.class), () -> name + " is not @NullMarked");
    }
  }

  @Test
  void module_exportsEveryPackageButHiddenOnes() throws IOException, URISyntaxException {
    URI compiled =
        EncryptionContext.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    ModuleDescriptor module;
    try (InputStream in = Files.newInputStream(Path.of(compiled).resolve("module-info.class"))) {
      module = ModuleDescriptor.read(in);
    }
    Set<String> expected = packagesOf(ownClasses());
    expected.removeAll(HIDDEN_PACKAGES);
    assertEquals(
        expected,
        module.exports().stream()
            .map(ModuleDescriptor.Exports::source)
            .collect(toCollection(TreeSet::new)));
    assertTrue(module.exports().stream().noneMatch(ModuleDescriptor.Exports::isQualified));
  }

  @Test
  void ciphersAndMacs_areUsedInCryptoOnly() {
    noClasses()
        .that(
            resideOutsideOfPackages(BASE + ".crypto")
                .and(
                    describe(
                        "are not the context", c -> !c.isEquivalentTo(EncryptionContext.class))))
        .should()
        .dependOnClassesThat(
            describe(
                "are JCE ciphers or MACs",
                c ->
                    c.getName().equals("javax.crypto.Cipher")
                        || c.getName().equals("javax.crypto.Mac")))
        .check(CLASSES);
    noClasses()
        .that()
        .belongToAnyOf(EncryptionContext.class)
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("javax.crypto.Mac")
        .check(CLASSES);
  }

  @Test
  void jackson_isUsedInKeysetAndStoreOnly() {
    assertUsedOnlyIn("com.fasterxml..", BASE + ".keyset", BASE + ".store");
  }

  @Test
  void bouncyCastle_isUsedInRootkeyOnly() {
    assertUsedOnlyIn("org.bouncycastle..", BASE + ".rootkey");
  }

  @Test
  void resilience4j_isUsedByOneClass() {
    noClasses()
        .that()
        .haveNameNotMatching(BASE + ".guard.CallCircuit(\\$.*)?")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.github.resilience4j..")
        .check(CLASSES);
  }

  @Test
  void jdbc_isUsedInStoreAndRewrapOnly() {
    assertUsedOnlyIn("java.sql..", BASE + ".store", BASE + ".rewrap");
    assertUsedOnlyIn("javax.sql..", BASE + ".store", BASE + ".rewrap");
  }

  @Test
  void postgresqlDriver_isUsedByOneClass() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(BASE + ".store.PostgresNotifications")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.postgresql..")
        .check(CLASSES);
  }

  private static void assertUsedOnlyIn(String library, String... ownPackages) {
    noClasses()
        .that()
        .resideOutsideOfPackages(ownPackages)
        .should()
        .dependOnClassesThat()
        .resideInAPackage(library)
        .check(CLASSES);
  }

  /**
   * By their constructors, that is: made anywhere else they would have the class loader and thread
   * locals of a request.
   */
  @Test
  void threads_areMadeByTwoClasses() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(BASE + ".guard.DaemonThreads")
        .and()
        .doNotHaveFullyQualifiedName(BASE + ".crypto.JitWarmUp")
        .should()
        .callConstructorWhere(target(owner(assignableTo(Thread.class))))
        .check(CLASSES);
  }

  @Test
  void securityProviders_areNeverRegistered() {
    noClasses().should().callMethodWhere(registersASecurityProvider()).check(CLASSES);
  }

  @Test
  void classes_areNeverLookedUp() {
    noClasses().should(lookUpClasses()).check(CLASSES);
  }

  @Test
  void publicTypes_showOnlyOurTypesAndTheJdks() {
    classes().that().arePublic().should(showOnlyOurTypesAndTheJdks()).check(CLASSES);
  }

  private static ArchCondition<JavaClass> showOnlyOurTypesAndTheJdks() {
    return new ArchCondition<>("show only JDK types and types of " + BASE) {
      @Override
      public void check(JavaClass owner, ConditionEvents events) {
        owner.getSuperclass().ifPresent(type -> check(owner, owner.getName(), type, events));
        owner.getInterfaces().forEach(type -> check(owner, owner.getName(), type, events));
        owner.getFields().stream()
            .filter(field -> isVisible(field.getModifiers()))
            .forEach(field -> check(owner, field.getFullName(), field.getType(), events));
        owner.getCodeUnits().stream()
            .filter(unit -> isVisible(unit.getModifiers()))
            .forEach(unit -> check(owner, unit, events));
      }

      private void check(JavaClass owner, JavaCodeUnit unit, ConditionEvents events) {
        check(owner, unit.getFullName(), unit.getReturnType(), events);
        unit.getParameterTypes().forEach(type -> check(owner, unit.getFullName(), type, events));
        unit.getExceptionTypes().forEach(type -> check(owner, unit.getFullName(), type, events));
      }

      private void check(JavaClass owner, String where, JavaType type, ConditionEvents events) {
        for (JavaClass raw : type.getAllInvolvedRawTypes()) {
          String name = raw.getBaseComponentType().getName();
          boolean known =
              raw.getBaseComponentType().isPrimitive()
                  || name.startsWith("java.")
                  || name.startsWith("javax.")
                  || name.startsWith(BASE + ".");
          if (!known) {
            events.add(SimpleConditionEvent.violated(owner, where + " shows " + name));
          }
        }
      }
    };
  }

  private static boolean isVisible(Set<JavaModifier> modifiers) {
    return modifiers.contains(JavaModifier.PUBLIC) || modifiers.contains(JavaModifier.PROTECTED);
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
        .and()
        .doNotHaveModifier(JavaModifier.ABSTRACT)
        .and(describe("are not sealed", c -> !c.reflect().isSealed()))
        .should()
        .haveModifier(JavaModifier.FINAL)
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
  void names_sayWhatAThingIs() {
    noClasses()
        .should()
        .haveNameMatching(".*(Utils?|Helper|Manager|Impl|Common|Constants)(\\$.*)?")
        .check(CLASSES);
  }

  @Test
  void standardStreams_areNotWritten() {
    NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CLASSES);
  }

  @Test
  void randomness_isNeverPredictable() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("java.util.Random")
        .orShould()
        .callMethod(Math.class, "random")
        .check(CLASSES);
  }

  private static Set<String> packagesOf(Stream<JavaClass> classes) {
    return classes.map(JavaClass::getPackageName).collect(toCollection(TreeSet::new));
  }
}
