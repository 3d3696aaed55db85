// Allure 3: one self-contained page. Title and history file come from the plugin (fixtures/reporting/allure_report.py).

const beginsWith = (label) => ({ message: new RegExp(`^${label}: `) });

export default {
  name: process.env.CONFORMANCE_TITLE,
  historyPath: process.env.CONFORMANCE_HISTORY,
  appendHistory: true,
  historyLimit: 50,
  categories: {
    rules: [
      { name: "Blocked: a precondition failed", matchers: beginsWith("blocked") },
      { name: "Harness error: says nothing about the product", matchers: beginsWith("harness error") },
      { name: "Known deviation: accepted by the profile", matchers: beginsWith("known deviation") },
      { name: "Not applicable to this profile", matchers: beginsWith("not applicable") },
      { name: "No test: a hole in the coverage", matchers: beginsWith("no test") },
      { name: "Not run", matchers: beginsWith("not run") },
      { name: "Product failure: a claim does not hold", matchers: { statuses: ["failed"] } },
    ],
  },
  plugins: {
    awesome: {
      options: {
        singleFile: true,
        reportName: process.env.CONFORMANCE_TITLE,
        reportLanguage: "en",
        theme: "auto",
        groupBy: ["epic", "feature", "story"],
      },
    },
  },
};
