package dev.sealwax.kms.testkit;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static java.util.stream.Collectors.toCollection;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethodCall;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.conditions.ArchConditions;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/**
 * What a module on top of kms-core keeps to, held against its compiled classes. A test of the
 * module extends it and adds its own rules; needs ArchUnit 1.5 on the class path.
 */
// One instance for all rules: reading the classes takes seconds.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class ModuleRules {
  /** All classes of the module but its tests. */
  protected final JavaClasses classes;

  private final int fewest;
  private final Set<String> publicTypes;

  /**
   * For the classes of one package and those below it.
   *
   * @param fewest classes that must be found, or nothing has been shown
   * @param publicTypes the simple names of the types that users see, and no others
   */
  protected ModuleRules(String packageName, int fewest, Set<String> publicTypes) {
    this.classes =
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages(packageName);
    this.fewest = fewest;
    this.publicTypes = publicTypes;
  }

  @Test
  void classes_areThere() {
    assertTrue(classes.size() >= fewest, () -> "analysed only " + classes.size());
  }

  @Test
  void publicTypes_areTheListedOnes() {
    assertEquals(
        new TreeSet<>(publicTypes),
        classes.stream()
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
        .check(classes);
  }

  @Test
  void core_isUsedThroughWhatItExports() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "dev.sealwax.kms.crypto..",
            "dev.sealwax.kms.cache..",
            "dev.sealwax.kms.events..",
            "dev.sealwax.kms.guard..")
        .check(classes);
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
        .check(classes);
  }

  @Test
  void standardStreamsAndProviderRegistration_areNotUsed() {
    NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(classes);
    noClasses().should().callMethodWhere(registersASecurityProvider()).check(classes);
  }

  @Test
  void classes_areNeverLookedUp() {
    noClasses().should(lookUpClasses()).check(classes);
  }

  /** Code that adds a provider to those of the JVM, which are the application's. */
  public static DescribedPredicate<JavaMethodCall> registersASecurityProvider() {
    return describe(
        "registers a security provider",
        call ->
            call.getTargetOwner().isEquivalentTo(java.security.Security.class)
                && Set.of("addProvider", "insertProviderAt").contains(call.getName()));
  }

  /** Reflection, by which code reaches what the other rules cannot see. */
  public static ArchCondition<JavaClass> lookUpClasses() {
    return ArchConditions.dependOnClassesThat(
            describe(
                "look up classes or their members",
                c ->
                    c.isEquivalentTo(java.util.ServiceLoader.class)
                        || c.getPackageName().equals("java.lang.reflect")))
        .or(
            ArchConditions.callMethodWhere(
                describe(
                    "looks up a class",
                    call ->
                        (call.getTargetOwner().isEquivalentTo(Class.class)
                                && call.getName().equals("forName"))
                            || (call.getTargetOwner().isAssignableTo(ClassLoader.class)
                                && call.getName().equals("loadClass")))));
  }
}
