// Bundles the views into the one module that the kernel hands to the page.
import { build, context } from "esbuild";

const options = {
  entryPoints: ["src/screen.ts"],
  outfile: "quire_widgets/static/screen.js",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  // Graphviz travels as one long string; escaping it would add a third to its size.
  charset: "utf8",
  loader: { ".css": "text" },
  legalComments: "none",
  logLevel: "info",
};

if (process.argv.includes("--watch")) await (await context(options)).watch();
else await build(options);
