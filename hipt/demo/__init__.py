"""A cohort of painted slides to try the workflow on: `python -m hipt.demo --out demo`.

Nothing here is tissue: noise fields lay out tissue types (`layout`, `scene`), which are filled
with cells (`cells`, `nuclei`), coloured by Beer and Lambert's law (`stain`, `paint`), spoilt a
little (`artefacts`) and written as Aperio-style TIFFs (`tiff`). `cohort` decides what each slide
shows and what is said about its case. The same seed gives the same bytes, whatever the number of
processes. Beside the slides stand the sheet `slides.csv` and what was painted:
`truth/<slide>.png` (tissue types at 8 um/px) and `truth/truth.json`.

What there is to learn:

- **necrosis**, `focal` or `extensive`: at most a twentieth of a block's tissue, or a quarter and
  more. The easy one: the mean of a slide's patches knows it. Its mean colour does not, since
  necrosis has that of the tissue whose place it takes; nor do site and arrangement, over which both
  extents are dealt evenly, or scanner and amount of tissue.
- **time_months**, **event**: the hazard rises steeply with the share of necrosis (composition) and
  falls a little with mixing (arrangement); Weibull times, uniform censoring.
- **class**, `inflamed` or `excluded`: the hard one. Tumour islands and immune clusters sit on a
  lattice of sites 185 um apart. In inflamed cases the two kinds are shuffled; in excluded ones the
  clusters stay together, far from tumour. The amounts are the same, and no more than two or three
  patches of 128 um in a hundred hold both kinds, so the mean of a slide's patches says next to
  nothing; regions of 512 um that hold both are about twice as common in inflamed cases. One label
  in ten is wrong.
- **tissue types** of patches: glands and tumour have nearly the same mean colour, stroma and
  necrosis are both pink; they differ in texture. Sites, staining days and section thickness
  shift colours further.
"""
